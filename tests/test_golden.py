"""What is published follows from what is published: predictions from weights and labels, tables from predictions.

Sets of two models and the small tables are recomputed each time, all of them in the tier `slow`.
"""

import importlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from extensive import keys
from extensive.config import load_config
from extensive.config.trainings import Member
from extensive.evaluation import physics as quantities
from extensive.evaluation import studies
from extensive.evaluation.claims import claims_table, seeds_table, write_claims
from extensive.evaluation.predict import predict
from extensive.evaluation.predictions import SET_COLUMN, errors_table, read_predictions, write_predictions
from extensive.evaluation.software import software_table
from extensive.evaluation.tables import errors
from extensive.figures import style
from extensive.io import read_json, read_structures, write_json
from extensive.models import load_model
from extensive.reference.archive import Archive
from extensive.reference.cost import cost_table, labels_table
from extensive.reference.lennard_jones import label_dimer
from extensive.reference.relaxation import most_relaxed
from extensive.reference.settings import DFTSettings
from extensive.structures import physics
from extensive.structures.dimers import generate_dimers
from extensive.structures.ising import generate_ising
from extensive.timing.fits import fit_exponents
from extensive.training.dimers import predict_dimers
from extensive.training.ising import predict_ising

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "results/published"
TABLES = PUBLISHED / "tables"
PREDICTIONS = PUBLISHED / "predictions"
# Processors and numbers of threads round differently: hundredths of what is quoted.
ENERGY_MEV_PER_ATOM, FORCES_MEV_PER_A = 0.01, 0.1
PREDICTED = sorted(file.stem for file in PREDICTIONS.glob("*.csv"))
WITH_WEIGHTS = [name for name in PREDICTED if (PUBLISHED / f"models/{name.replace('-symmetric', '')}.pt").is_file()]
SHEETS = [name for name in WITH_WEIGHTS if "dimer" not in name and "ising" not in name]
MODEL_SYSTEMS = [name for name in WITH_WEIGHTS if name not in SHEETS]
# What was measured or trained and not kept: nothing published says it again.
MEASURED = {
    *("tables/audit.csv", "tables/label-failures.csv", "tables/teachers.csv"),  # calculations, labels by networks
    *("tables/physics.csv", "tables/cells.csv"),  # of which what DFT says is held to its labels
    *(f"timings/{name}.csv" for name in ("dft", "dft-mpi", "networks", "sheet")),
}
# Drawn from images and networks, not from tables; tests/test_figure_data.py has their numbers.
DRAWN_FROM_ARRAYS = {f"figures/{name}.csv" for name in ("inputs", "kernel", "networks", "tiles")}


@pytest.fixture(scope="module")
def labels() -> dict[str, Atoms]:
    """The labels that errors are against, by structure id."""
    files = sorted((PUBLISHED / "labels").glob("*.extxyz.gz"))
    found: dict[str, Atoms] = {}
    for atoms in (atoms for file in files for atoms in read_structures(file)):
        # Of two labels of a structure, in files the older first, the published run used the older.
        found.setdefault(atoms.info[keys.STRUCTURE_ID], atoms)
    return found


@pytest.fixture(scope="module")
def config() -> dict:
    return load_config(ROOT / "config/published.yaml")


def sets_of(name: str) -> list[str]:
    return list(dict.fromkeys(pd.read_csv(PREDICTIONS / f"{name}.csv")[SET_COLUMN]))


def close(found: pd.DataFrame, published: pd.DataFrame) -> None:
    """Energies, spreads and forces of the same structures agree but for rounding."""
    assert list(found["structure_id"]) == list(published["structure_id"])
    for column in published.columns.intersection(["energy_dft_eV", "energy_predicted_eV", "energy_std_eV"]):
        off = keys.MEV_PER_EV * (found[column] - published[column]).abs() / published["n_atoms"]
        assert off.max() < ENERGY_MEV_PER_ATOM, column
    if keys.FORCES_COLUMN in published:
        assert (found[keys.FORCES_COLUMN] - published[keys.FORCES_COLUMN]).abs().max() < FORCES_MEV_PER_A


def predicted_again(name: str, parts: list[str], labels: dict[str, Atoms]) -> None:
    model = name.replace("-symmetric", "")
    potential = load_model(PUBLISHED / f"models/{model}.pt")
    for part in parts:
        published = read_predictions(PREDICTIONS / f"{name}.csv", part)
        structures = [labels[structure] for structure in published["structure_id"]]
        close(predict(potential, structures, symmetric=name != model), published)


@pytest.mark.parametrize(
    ("name", "part"),
    [("ednn", "test"), ("ednn-symmetric", "interpolation"), ("cnn-forces", "test")],
)
def test_a_sample_of_predictions_follows_from_weights_and_labels(name, part, labels):
    predicted_again(name, [part], labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHEETS)
def test_all_predictions_of_sheets_follow_from_weights_and_labels(name, labels):
    predicted_again(name, sets_of(name), labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODEL_SYSTEMS)
def test_all_predictions_of_model_systems_follow_from_weights_and_seeds(name, config):
    potential = load_model(PUBLISHED / f"models/{name}.pt")
    for part in sets_of(name):
        published = read_predictions(PREDICTIONS / f"{name}.csv", part)
        if part.startswith("dimer"):
            dataset = part.removesuffix("-extrapolation")
            pair = config["reference"]["lennard_jones"]
            dimers = generate_dimers(dataset, config["structures"]["dimers"][dataset], config["seed"])
            wanted = set(published["structure_id"])
            chosen = [atoms for atoms in dimers if atoms.info[keys.STRUCTURE_ID] in wanted]
            labelled = [label_dimer(atoms, pair["epsilon_eV"], pair["sigma_A"]) for atoms in chosen]
            found = predict_dimers(potential, potential.metadata, labelled)
            separation = (found["separation_predicted_A"] - published["separation_predicted_A"]).abs()
            assert separation.max() < 1e-4
        else:
            length = int(part.removeprefix("ising-"))
            spec = next(entry for entry in config["structures"]["ising"] if entry["length"] == length)
            held_back = length == config["training"]["ising"]["length"]
            found = predict_ising(potential, generate_ising(spec, config["seed"]), held_back)
        close(found, published)


def same_table(found: pd.DataFrame, path: Path, digits: int = 4) -> None:
    """A table is the published one, text by text and number by number, to so many digits."""
    buffer = io.StringIO()
    found.to_csv(buffer, index=False)
    again, published = pd.read_csv(io.StringIO(buffer.getvalue())), pd.read_csv(path)
    assert list(again.columns) == list(published.columns)
    pd.testing.assert_frame_equal(again, published, check_dtype=False, rtol=0.5 * 10 ** (1 - digits), atol=1e-9)


def named(config: dict, seed: int) -> dict:
    """Arguments of `claims_table` for one of the trainings, as the workflow gives them."""
    end = f"-seed{seed}" if seed else ""
    others = [name for name in config["models"] if name not in ("cnn", "ednn", "ednn-first")]
    return {
        "run": PUBLISHED,
        "cnn": f"cnn{end}",
        "ednn": f"ednn{end}",
        "dimers": {"2D": f"cnn-dimer-2d{end}", "3D": f"cnn-dimer-3d{end}"},
        "ising": {entry["length"]: f"ednn-ising{end}-{entry['length']}" for entry in config["structures"]["ising"]},
        "others": {name: f"{name}{end}" for name in others},
    }


def test_claims_follow_from_the_published_files(config, tmp_path):
    write_claims(tmp_path / "claims.csv", claims_table(**named(config, 0)))
    assert (tmp_path / "claims.csv").read_text() == (TABLES / "claims.csv").read_text()


def test_claims_of_other_seeds_follow_from_the_published_predictions(config):
    same_table(seeds_table([named(config, seed) for seed in range(3)]), TABLES / "claims-seeds.csv")


def test_errors_follow_from_the_published_predictions():
    same_table(errors_table(PREDICTIONS), TABLES / "errors.csv", digits=5)


def test_the_study_of_seeds_follows_from_predictions_and_models(tmp_path):
    published = pd.read_csv(TABLES / "seeds.csv")
    members, descriptions, metrics = [], [], []
    for values in published.drop_duplicates("model").to_dict("records"):
        chosen = {key: values[key] for key in ("study", "variant", "base", "seed", "model")}
        members.append(Member(**chosen, labels=None))
        descriptions.append(PUBLISHED / f"models/{values['model']}.json")
        files = {}
        for part in published.loc[published["model"] == values["model"], "set"]:
            files[part] = tmp_path / f"{values['model']}-{part}.json"
            write_json(files[part], errors(read_predictions(PREDICTIONS / f"{values['model']}.csv", part)))
        metrics.append(files)
    found = studies.collect(members, descriptions, metrics).assign(seconds=published["seconds"])  # of another training
    same_table(found, TABLES / "seeds.csv")


def test_exponents_follow_from_the_published_timings():
    published = read_json(PUBLISHED / "timings/exponents.json")
    timings = pd.concat([pd.read_csv(PUBLISHED / f"timings/{name}.csv") for name in ("dft", "networks")])
    found = fit_exponents(timings, published["linear_from_atoms"])
    assert json.loads(json.dumps(found)) == [pytest.approx(fit) for fit in published["fits"]]


def test_costs_and_versions_follow_from_the_published_labels(labels):
    published = pd.read_csv(TABLES / "labels.csv")
    # The archive holds labels that came after the run, too.
    used = [labels[name] for name in published["structure_id"]]
    again = labels_table(used)
    pd.testing.assert_frame_equal(again, published, rtol=1e-5)
    pd.testing.assert_frame_equal(cost_table(again), pd.read_csv(TABLES / "label-cost.csv"), rtol=1e-5)
    versions = pd.read_csv(TABLES / "software.csv")
    models = {
        file.stem: read_json(file)
        for file in (PUBLISHED / "models").glob("*.json")
        if file.with_suffix(".pt").is_file()
    }
    again = software_table(used, models, {})
    pd.testing.assert_frame_equal(
        again, versions[versions["used_for"] != "workflow"].reset_index(drop=True), check_dtype=False
    )


def test_the_table_of_physics_follows_from_archived_labels(config):
    """What DFT says; the network's own column is of sheets that it has relaxed."""
    settings, archive = DFTSettings.from_config(config["reference"]["dft"]), Archive(PUBLISHED / "labels")
    archive.refresh()
    constants, published = config["structures"]["lattice_constants_A"], pd.read_csv(TABLES / "physics.csv")
    sheets = physics.systems(constants, most_atoms=config["reference"]["physics"]["cells_most_atoms"])
    energies = {}
    for name, members in sheets.items():
        if name in physics.RELAXED:
            steps = [atoms for atoms in archive.dataset("physics") if physics.system_of(atoms) == name]
            members = [most_relaxed(steps)]
        found = [archive.find(atoms, settings, []) for atoms in members]
        energies[name] = [(atoms, atoms.info[keys.REF_ENERGY]) for atoms in found]
    again = quantities.table(energies, energies, constants)
    assert again["dft"].tolist() == pytest.approx(published["dft"].tolist(), rel=1e-5)
    cells = quantities.cells_table(energies, energies)["dft_meV_per_atom"]
    assert cells.tolist() == pytest.approx(pd.read_csv(TABLES / "cells.csv")["dft_meV_per_atom"].tolist(), abs=1e-4)


def tables_of(config: dict) -> dict[str, dict[str, str]]:
    """What each figure is drawn from: a published file, or <model>:<set> for predictions."""
    ising = {f"lattice_{e['length']}": f"ednn-ising:ising-{e['length']}" for e in config["structures"]["ising"]}
    sheets = {part.replace("-", "_"): f"ednn:{part}" for part in ("test", "independent-md", "supercells")}
    drawn = dict.fromkeys(["test", *(spec["set"] for spec in config["structures"]["datasets"].values())])
    return {
        "calibration": {
            part.replace("-", "_"): f"ednn-ensemble:{part}"
            for part in drawn
            if part in set(sets_of("ednn-ensemble")) - {"validation"}
        },
        "cnn-accuracy": {part.replace("-", "_"): f"cnn:{part}" for part in ("test", "independent-md")},
        "dimers": {f"dimers_{d}d": f"cnn-dimer-{d}d:dimer-{d}d" for d in (2, 3)},
        "ednn-accuracy": sheets,
        "interpolation": {
            f"{model}_{part}": f"{model}:{part}"
            for model in ("cnn", "ednn")
            for part in ("test", "interpolation", "extrapolation")
        },
        "ising": ising,
        "scaling": {
            **{name: f"timings/{name}.csv" for name in ("dft", "networks", "sheet")},
            "exponents": "timings/exponents.json",
            "model": "models/ednn.json",
        },
    }


FIGURES = sorted(file.stem for file in (PUBLISHED / "figures").glob("*.csv"))
FROM_TABLES = [name for name in FIGURES if f"figures/{name}.csv" not in DRAWN_FROM_ARRAYS | MEASURED]


@pytest.mark.medium
@pytest.mark.parametrize("figure", FROM_TABLES)
def test_numbers_of_figures_follow_from_the_published_tables(figure, config, tmp_path):
    files = {}
    for name, source in tables_of(config)[figure].items():
        if ":" in source:
            model, part = source.split(":")
            table = read_predictions(PREDICTIONS / f"{model}.csv", part, add_errors=False)
            files[name] = str(tmp_path / f"{model}-{part}.csv")
            write_predictions(Path(files[name]), table)
        else:
            files[name] = str(PUBLISHED / source)
    module = importlib.import_module(f"extensive.figures.{figure.replace('-', '_')}")
    settings = {"trainings": 3} if figure == "calibration" else {}
    drawing = module.from_files(**files, **settings)
    outputs = [tmp_path / f"drawn.{suffix}" for suffix in ("pdf", "png", "csv", "json")]
    style.save(drawing, *outputs)
    same_table(pd.read_csv(outputs[2]), PUBLISHED / f"figures/{figure}.csv", digits=6)


def test_every_published_table_is_recomputed_here_or_was_measured():
    recomputed = {
        *(f"predictions/{name}.csv" for name in PREDICTED),
        *(
            f"tables/{name}.csv"
            for name in ("claims", "claims-seeds", "errors", "seeds", "labels", "label-cost", "software")
        ),
        *(f"figures/{name}.csv" for name in FROM_TABLES),
    }
    published = {
        str(file.relative_to(PUBLISHED))
        for folder in ("predictions", "tables", "timings", "figures")
        for file in (PUBLISHED / folder).glob("*.csv")
    }
    assert published <= recomputed | MEASURED | DRAWN_FROM_ARRAYS
    # Without weights: the papers' CNN. Means of several trainings are held to these by tests/test_published.py.
    left = set(PREDICTED) - set(WITH_WEIGHTS) - {name for name in PREDICTED if name.endswith("-ensemble")}
    assert left == {"cnn", "cnn-seed1", "cnn-seed2"}
    assert np.isfinite(pd.read_csv(PREDICTIONS / "cnn.csv")["energy_predicted_eV"]).all()
