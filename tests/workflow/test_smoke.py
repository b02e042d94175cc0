"""The smoke preset end to end, and what an edit of the code reruns."""

import os
import re

import pandas as pd
import pytest

from extensive.io import read_json
from extensive.keys import PREDICTION_COLUMNS, TIMING_COLUMNS

FIGURES = (
    "inputs",
    "kernel",
    "networks",
    "tiles",
    "cnn-accuracy",
    "ednn-accuracy",
    "scaling",
    "dimers",
    "ising",
)
# The first test waits for the whole smoke run, on a machine that may be busy.
pytestmark = [pytest.mark.dft, pytest.mark.slow, pytest.mark.timeout(3600)]


def edit(workflow, path: str) -> None:
    """Change a module's content without changing what it does."""
    file = workflow.root / path
    file.write_text(file.read_text() + "\n# edited by a test\n")


@pytest.fixture
def restore(smoke_run):
    """Undo a test's edits, content and modification time alike."""
    saved = {}

    def remember(path: str):
        file = smoke_run.root / path
        saved[file] = (file.read_bytes(), file.stat())

    yield remember
    for file, (content, stat) in saved.items():
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_every_figure_and_table_is_there(smoke_run):
    figures = smoke_run.root / "results/smoke/figures"
    for name in FIGURES:
        for suffix in ("pdf", "png", "csv"):
            file = figures / f"{name}.{suffix}"
            assert file.stat().st_size > 100, file
    claims = pd.read_csv(smoke_run.root / "results/smoke/tables/claims.csv")
    assert {f"C{i}" for i in range(1, 11)} <= set(claims.claim)


def test_nothing_is_left_to_do(smoke_run):
    assert smoke_run.planned() == {}


@pytest.mark.parametrize("model", ["cnn", "ednn"])
def test_what_a_network_learned_from_is_predicted_on_request(smoke_run, model):
    smoke_run.snakemake("--cores", "1", "--", f"results/smoke/predictions/{model}-train.csv")
    learned = pd.read_csv(smoke_run.root / f"results/smoke/predictions/{model}-train.csv")
    described = read_json(smoke_run.root / f"results/smoke/models/{model}.json")["metadata"]
    splits = read_json(smoke_run.root / "results/smoke/splits.json")
    assert len(learned) == described["n_train"]
    assert set(learned.structure_id) <= set(splits["train"])


def test_published_columns(smoke_run):
    run = smoke_run.root / "results/smoke"
    predictions = sorted((run / "predictions").glob("*ednn*.csv"))
    assert predictions
    for file in predictions:
        table = pd.read_csv(file)
        assert list(table.columns[: len(PREDICTION_COLUMNS)]) == list(PREDICTION_COLUMNS), file
        assert table.energy_predicted_eV.notna().all()
    for name in ("dft", "networks"):
        table = pd.read_csv(run / "timings" / f"{name}.csv")
        assert list(table.columns[: len(TIMING_COLUMNS)]) == list(TIMING_COLUMNS)
        assert (table.seconds > 0).all()


def test_editing_figures_reruns_figures_only(smoke_run, restore):
    path = "src/extensive/figures/scaling.py"
    restore(path)
    edit(smoke_run, path)
    rules = smoke_run.planned()
    assert rules
    assert all("figure" in rule or "claims" in rule for rule in rules), rules


def test_editing_the_raster_reruns_from_raster_on_never_dft(smoke_run, restore):
    path = "src/extensive/images/raster.py"
    restore(path)
    edit(smoke_run, path)
    rules = smoke_run.planned()
    assert any("rasterize" in rule for rule in rules), rules
    assert any("train" in rule for rule in rules), rules
    assert any("figure" in rule for rule in rules), rules
    for rule in rules:
        assert not re.search(r"structures|label|dynamics|audit|dft", rule), rules


def test_editing_the_reference_stage_reruns_labels(smoke_run, restore):
    path = "src/extensive/reference/calculation.py"
    restore(path)
    edit(smoke_run, path)
    rules = smoke_run.planned()
    assert any("label" in rule for rule in rules), rules
    assert not any(rule.startswith("structures") for rule in rules), rules


def test_report_holds_every_figure(smoke_run):
    smoke_run.snakemake("--report", "results/smoke/report.html")
    text = (smoke_run.root / "results/smoke/report.html").read_text()
    for name in ("scaling", "cnn-accuracy", "ednn-accuracy", "inputs", "claims"):
        assert name in text
