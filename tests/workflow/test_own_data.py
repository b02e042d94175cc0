"""Own structures and own images: the two examples, from files to a trained, evaluated, timed network."""

import subprocess
import sys

import pandas as pd
import pytest
from private_copy import copy_tree

from extensive.keys import PREDICTION_COLUMNS, TIMING_COLUMNS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
    workflow = copy_tree(tmp_path_factory.mktemp("own"))
    environment = {**workflow.environment(), "PYTHONPATH": str(workflow.root / "src")}
    subprocess.run([sys.executable, "examples/make-data.py"], cwd=workflow.root, env=environment, check=True)
    return workflow


@pytest.mark.parametrize(("example", "model"), [("own-structures", "ednn"), ("own-images", "mine")])
def test_the_example_runs_by_its_configuration_alone(own_data, example, model):
    own_data.snakemake("--configfile", f"examples/{example}.yaml", preset=None)
    run = own_data.root / "results" / example
    assert (run / f"models/{model}.pt").is_file()
    predictions = pd.read_csv(run / f"predictions/{model}-test.csv")
    assert list(predictions.columns)[: len(PREDICTION_COLUMNS)] == list(PREDICTION_COLUMNS)
    assert len(predictions) == 6  # one in four of 24
    timings = pd.read_csv(run / ("timings/networks.csv" if model == "ednn" else "timings/mine.csv"))
    assert list(timings.columns) == list(TIMING_COLUMNS)
    assert (timings.seconds > 0).all()
