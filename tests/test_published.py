"""What is published is whole: the archive covers the default preset, and tables agree with the files they quote."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from extensive.config import load_config
from extensive.config.plan import seed_of
from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.publish import LARGEST_WEIGHTS_MB
from extensive.keys import PREDICTION_COLUMNS, TIMING_COLUMNS
from extensive.reference.archive import Archive
from extensive.reference.chunks import Store, label_chunk
from extensive.reference.dynamics import Dynamics
from extensive.reference.settings import DFTSettings
from extensive.structures.datasets import generate_dataset

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "results" / "published"
published = pytest.mark.skipif(
    not (PUBLISHED / "tables" / "claims.csv").is_file(), reason="no run has been published yet"
)


@pytest.fixture(scope="module")
def archive() -> Archive:
    archive = Archive(PUBLISHED / "labels")
    archive.refresh()
    return archive


@pytest.mark.medium
def test_the_archive_has_labels_for_every_set_of_the_default_preset_and_no_others(archive, tmp_path):
    """How many of each is for the archive to say, which grows."""
    config = load_config(ROOT / "config/config.yaml")
    settings = DFTSettings.from_config(config["reference"]["dft"])
    accept = config["reference"]["labels"]["accept_gpaw"]
    store = Store(tmp_path, archive, settings, accept, leave_out=True)
    wanted, count = {"physics", "convergence"}, Counter()
    for name, spec in config["structures"]["datasets"].items():
        seed = seed_of(config, name)
        dynamics = Dynamics.from_config(spec["md"]) if spec["sampler"] == "md" else None
        labelled, _ = label_chunk(list(enumerate(generate_dataset(name, spec, seed))), store, dynamics, seed, False)
        wanted.add(name)
        count[spec["set"]] += len(labelled)
    assert min(count.values()) > 0, count
    assert set(archive.datasets()) <= wanted


PREDICTIONS = sorted((PUBLISHED / "predictions").glob("*.csv"))
ENSEMBLES = [file for file in PREDICTIONS if file.stem.endswith("-ensemble")]


def test_no_weights_are_larger_than_a_repository_should_carry():
    weights = [*PUBLISHED.rglob("*.pt"), *(ROOT / "results/trained").glob("*.pt")]
    assert weights
    assert max(path.stat().st_size for path in weights) <= LARGEST_WEIGHTS_MB * 1e6


def sets_of(file: Path) -> list[str]:
    return list(dict.fromkeys(pd.read_csv(file)["set"]))


@pytest.mark.parametrize("file", PREDICTIONS, ids=lambda file: file.stem)
def test_predictions_of_a_model_are_one_table_with_the_set_of_each_row(file):
    assert tuple(pd.read_csv(file, nrows=1).columns[: len(PREDICTION_COLUMNS) + 1]) == ("set", *PREDICTION_COLUMNS)
    for part in sets_of(file):
        table = read_predictions(file, part)
        assert np.isfinite(table["energy_predicted_eV"]).all()
        assert table["structure_id"].is_unique


@pytest.mark.parametrize("file", ENSEMBLES, ids=lambda file: file.stem)
def test_ensembles_are_those_of_their_members(file):
    member = file.stem.removesuffix("-ensemble")
    base, average = member.removesuffix("-symmetric"), "-symmetric" if member.endswith("-symmetric") else ""
    members = [file.with_name(f"{base}{seed}{average}.csv") for seed in ("", "-seed1", "-seed2")]
    for part in sets_of(file):
        energies = np.stack([read_predictions(one, part).energy_predicted_eV for one in members])
        table = read_predictions(file, part)
        assert table.energy_predicted_eV.to_numpy() == pytest.approx(energies.mean(axis=0), rel=1e-7)
        assert table.energy_std_eV.to_numpy() == pytest.approx(energies.std(axis=0, ddof=1), rel=1e-3, abs=1e-5)


@published
def test_timings_have_the_columns_and_hardware():
    for name in ("dft", "networks", "sheet"):
        table = pd.read_csv(PUBLISHED / "timings" / f"{name}.csv")
        assert list(table.columns[: len(TIMING_COLUMNS)]) == list(TIMING_COLUMNS)
        assert (table.seconds > 0).all()
        assert table.hardware.notna().all()


@published
def test_every_claim_has_a_source_that_is_published():
    claims = pd.read_csv(PUBLISHED / "tables" / "claims.csv")
    for row in claims[claims.ours.notna()].itertuples():
        assert (PUBLISHED / row.source_file).is_file(), row
        if row.source_file.startswith("predictions/"):
            assert row.set in sets_of(PUBLISHED / row.source_file), row
