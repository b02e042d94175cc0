"""What is published is whole: the archive covers the default preset, and tables agree with the files they quote."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from extensive.cli.checks import check_config
from extensive.config import complete_config, load_config, merged
from extensive.evaluation.predictions import read_predictions
from extensive.keys import PREDICTION_COLUMNS, TIMING_COLUMNS
from extensive.models import load_model
from extensive.models.files import weights_digest
from extensive.reference.archive import Archive, candidate_digests
from extensive.reference.chunks import Store
from extensive.reference.dynamics import Dynamics, trajectory_digest
from extensive.reference.settings import DFTSettings
from extensive.structures.datasets import generate_dataset
from extensive.training.splits import learns_from

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


def configured(*names: str) -> dict:
    """A preset with changes to it, as Snakemake puts several files together."""
    files = [yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()) for name in names]
    return complete_config(functools.reduce(merged, files))


@pytest.mark.medium
@pytest.mark.parametrize("names", [("config",), ("config", "more-labels")], ids=" with ".join)
def test_the_archive_covers_the_default_preset_and_further_labels(names, archive, tmp_path):
    """Else they would compute labels for hours instead of finishing in the minutes that they say."""
    config = configured(*names)
    settings = DFTSettings.from_config(config["reference"]["dft"])
    accept = config["reference"]["labels"]["accept_gpaw"]
    store = Store(tmp_path, archive, settings, accept)
    missing = []
    for name, spec in config["structures"]["datasets"].items():
        for index, atoms in enumerate(generate_dataset(name, spec, config["seed"])):
            if spec["sampler"] != "md":
                found = store.find(atoms) is not None
            else:
                digests = candidate_digests(atoms, settings, accept)
                dynamics = Dynamics.from_config(spec["md"])
                names = [trajectory_digest(digest, dynamics, index, config["seed"]) for digest in digests]
                found = any(len(archive.trajectory(trajectory)) >= dynamics.frames for trajectory in names)
            if not found:
                missing.append(atoms.info["structure_id"])
    assert not missing


PREDICTIONS = sorted((PUBLISHED / "predictions").glob("*.csv"))
ENSEMBLES = [file for file in PREDICTIONS if file.stem.endswith("-ensemble")]


def sets_of(file: Path) -> list[str]:
    return list(dict.fromkeys(pd.read_csv(file)["set"]))


@pytest.mark.parametrize("file", PREDICTIONS, ids=lambda file: file.stem)
def test_predictions_of_a_model_are_one_table_with_the_set_of_each_row(file):
    assert tuple(pd.read_csv(file, nrows=1).columns[: len(PREDICTION_COLUMNS) + 1]) == ("set", *PREDICTION_COLUMNS)
    for part in sets_of(file):
        table = read_predictions(file, part)
        assert np.isfinite(table["energy_predicted_eV"]).all()
        assert file.stem == "ednn-components" or table["structure_id"].is_unique


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


def test_components_are_of_the_published_parts():
    table = read_predictions(PUBLISHED / "predictions/ednn-components.csv", "test")
    assert set(table["component"]) == {"kinetic", "electrostatic", "exchange-correlation"}


def test_further_labels_are_for_the_ednn_and_leave_test_sets_as_they_are():
    config = configured("config", "more-labels")
    check_config(config)
    before = load_config(ROOT / "config" / "config.yaml")["structures"]["datasets"]
    datasets = config["structures"]["datasets"]
    added = sorted(datasets.keys() - before.keys())
    assert added
    assert {datasets[name]["set"] for name in added} == {"train"}
    assert all(datasets[name] == before[name] for name in before)
    for name, model in config["models"].items():
        exclude = model["training"]["exclude"]
        assert [learns_from(dataset, exclude) for dataset in added] == [name == "ednn"] * len(added)
        assert all(learns_from(dataset, exclude) for dataset in before)


@pytest.mark.medium
@published
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_trainings_that_go_on_from_others_are_those_that_their_configurations_say(seed):
    for stage, weights in (
        ("second", f"second-stage/ednn-seed{seed}"),
        ("third", f"third-stage/ednn-seed{seed}"),
        ("fourth", f"fourth-stage/ednn-seed{seed}"),
        ("fifth", f"fifth-stage/ednn-seed{seed}"),
        ("sixth", f"sixth-stage/ednn-seed{seed}"),
        ("seventh", f"seventh-stage/ednn-seed{seed}"),
        ("eighth", f"eighth-stage/ednn-seed{seed}"),
        ("ninth", f"ednn{f'-seed{seed}' if seed else ''}"),
        ("tenth", f"tenth-stage/ednn-seed{seed}"),
    ):
        config = configured("config", "more-labels", f"{stage}-training")
        check_config(config)
        wanted = config["models"]["ednn"]["training"]
        found = load_model(PUBLISHED / "models" / f"{weights}.pt").metadata
        training = {
            key: found["training"][key]
            for key in ("samples", "learning_rate", "final_energy_weight", "oversample", "augmentation")
        }
        assert training == {key: wanted[key] for key in training}, stage
        assert found["training"].get("edge_charge_e", 0.0) == wanted["edge_charge_e"], stage
        # The weights that it began with are there, and are those of the same seed.
        first = ROOT / wanted["initial_weights"].format(seed=seed)
        assert found["initial_weights_sha256"] == weights_digest(first), stage
        before = load_model(first).metadata
        assert before["training"]["seed"] == seed
        assert found["n_train"] > before["n_train"], stage
        # What is named now is what the last two of them learned from.
        if stage in ("ninth", "tenth"):
            further = sum(spec["count"] for spec in config["structures"]["datasets"].values() if spec["set"] == "train")
            of_preset = load_model(PUBLISHED / "models" / "first-stage" / f"ednn-seed{seed}.pt").metadata["n_train"]
            assert found["n_train"] == of_preset + further, stage


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
