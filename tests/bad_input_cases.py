"""Wrong inputs and what each gives: the one table behind tests/test_bad_input.py and docs/bad-input.md.

python tests/bad_input_cases.py > docs/bad-input.md
"""

# ruff: noqa: E501 - a table

import errno
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import ase.io
import numpy as np
from bad_input_files import CASES, ROOT, Case, case, images, replace
from own_models import EDNN as TINY
from own_models import rattled, write_model

from extensive.cli.checks import check_config
from extensive.config import complete_config, load_config
from extensive.config.trainings import members

# --- configuration -----------------------------------------------------------------------------------------------

SHEET = {"family": "graphene", "sampler": "rattle", "count": 2}
TURNED = {"cell": {"chiral": [2, 1]}, "supercell": [2, 2]}
EDNN = {"network": "ednn"}
DIMERS = {"dimensions": 2, "count": 1}


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: check_config(complete_config(changes))


def dataset(name: str = "mine", **changes: Any) -> Callable[[Path], None]:
    return configured(structures={"datasets": {name: {**SHEET, **changes}}})


def model(sheets: dict | None = None, **changes: Any) -> Callable[[Path], None]:
    datasets = {"mine": SHEET} if sheets is None else sheets
    timing = {"networks": {"models": ["ednn"]}}
    return configured(structures={"datasets": datasets}, models={"ednn": {**EDNN, **changes}}, timing=timing)


def study(**changes: Any) -> Callable[[Path], None]:
    """A variant of a model with such changes."""
    studies = {"seeds": 1, "ablation": {"variants": {"x": changes}}}
    return configured(structures={"datasets": {"mine": SHEET}}, models={"ednn": EDNN}, studies=studies)


def lattices(length: int, samples: int) -> Callable[[Path], None]:
    ising = {"length": length, "samples": samples}
    return configured(structures={"ising": [ising]}, training={"ising": {"length": length}})


def config_text(text: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        (folder / "config.yaml").write_text(text)
        load_config(folder / "config.yaml")

    return run


for wrong, says, run in (
    ("a file that does not exist", "cannot be read", lambda folder: load_config(folder / "none.yaml")),
    ("text that is not YAML", "not valid YAML", config_text("run: [")),
    ("a list instead of a mapping", "expected a mapping of keys to values", config_text("- run\n")),
    ("an empty file", "expected a mapping of keys to values", config_text("")),
    ("a misspelt key (`sead`)", "did you mean 'seed'?", configured(sead=1)),
    ("an unknown key (`colour`)", "unknown key 'colour'; known keys:", configured(colour=1)),
    ("a key that is a list or a mapping (`{{seed}}: 3`)", "line 1: a key is a mapping or a list; keys are texts, quote it", config_text("{{seed}}: 3\n")),
    ("a negative seed", "key 'seed': -1", configured(seed=-1)),
    ("a seed that random numbers cannot begin with", "training.seed': 1180591620717411303424 is greater than the maximum", model(training={"seed": 2**70})),
    ("a number that is NaN (`.nan`)", "key 'models.ednn.sigma_A': nan is not a finite number", model(sigma_A=np.nan)),
    ("a number that is infinite, in a list", "augmentation.rotation_deg.1': inf is", model(training={"augmentation": {"rotation_deg": [0, np.inf]}})),
    ("text where a number belongs", "key 'seed': 'many' is not of type", configured(seed="many")),
    ("a run name with a slash", "key 'run'", configured(run="a/b")),
    ("an unknown device", "is not one of ['auto', 'cpu', 'cuda']", configured(device="tpu")),
    ("a data set without a sampler", "datasets.mine.sampler' is missing", configured(structures={"datasets": {"mine": {"family": "graphene", "count": 1}}})),
    ("a data set's name in capitals", "'Mine' does not match", dataset("Mine")),
    ("an unknown family", "is not a family; choose from graphene", dataset(family="silicene")),
    ("an unknown sampler", "is not one of ['pristine', 'rattle', 'md']", dataset(sampler="walk")),
    ("a negative count", "key 'structures.datasets.mine.count': -1", dataset(count=-1)),
    ("more atoms than anyone has", "structures.datasets.mine.count", dataset(count=10_000_000)),
    ("a supercell of one number", "key 'structures.datasets.mine.supercell'", dataset(supercell=[5])),
    ("a range whose ends are exchanged", "0 <= low <= high", dataset(displacement_A=[0.09, 0.02])),
    ("displacements that break the sheet", "0 <= low <= high <= 0.25", dataset(displacement_A=[0.1, 0.9])),
    ("a strain of 50 %", "should lie between strain_min (0) and 0.2", dataset(strain=0.5)),
    ("a Stone-Wales defect in one cell", "too small for a Stone-Wales defect", dataset(family="stone-wales", supercell=[1, 1])),
    ("a pore wider than its cell", "is too wide for", dataset(family="porous", supercell=[2, 2])),
    ("a pore that no atom may lie in", "is too narrow: pores of less than half a bond may meet no atom; at least 0.71", dataset(family="porous", pore_radius_A=[0, 0])),
    ("a shape of another family", "which porous does not have; choose from", dataset(family="porous", shapes=["stripe-x"])),
    ("more defects than a quarter of the atoms", "defects: [1, 40]", dataset(family="graphene-vacancy", defects=[1, 40])),
    ("a temperature of 0 K", "temperatures_K.0': 0", dataset(sampler="md", md={"temperatures_K": [0]})),
    ("files that are not there", "no such file", configured(structures={"datasets": {"mine": {"files": ["none/*.xyz"]}}})),
    ("a count beside files", "the files say how many, leave it out", configured(structures={"datasets": {"mine": {"files": ["x"], "count": 3}}})),
    ("one name for sheets and dimers", "is also in structures.datasets", configured(structures={"datasets": {"dimer-2d": SHEET}, "dimers": {"dimer-2d": DIMERS}})),
    ("two data sets of dimers in as many dimensions", "'dimer-a' and 'dimer-b' both have dimensions 2; one data set of each", configured(structures={"dimers": {"dimer-a": DIMERS, "dimer-b": DIMERS}})),
    ("dimers of another name than figures look for", "(names begin with dimer- and do not end in -extrapolation or -seed and a number)", configured(structures={"dimers": {"argon": DIMERS}})),
    ("a model that is called as another's test against its teacher", "'ednn-teacher' does not match", configured(models={"ednn-teacher": EDNN})),
    ("a study of a model of images", "studies.seeds.mine: trained on images; studies are of models of sheets", lambda folder: members(complete_config({"models": {"mine": {**EDNN, "images": "mine.h5"}}, "studies": {"ensembles": ["mine"]}}))),
    ("an unknown network", "is not one of ['cnn', 'ednn']", model(network="gnn")),
    ("models without data to train on", "a data set needs 'set: development' or 'set: train'", model(sheets={})),
    ("models with test data only", "a data set needs 'set: development' or 'set: train'", model(sheets={"mine": {**SHEET, "set": "extrapolation"}})),
    ("an image of 4 pixels", "image_px': 4", model(network="cnn", image_px=4)),
    ("a pixel size of 0", "pixel_size_A': 0", model(pixel_size_A=0)),
    ("a learning rate of 0", "learning_rate': 0", model(training={"learning_rate": 0})),
    ("a loss without energies and forces", "must not be negative, nor both 0", model(training={"energy_weight": 0, "forces_weight": 0})),
    ("energies without weight that are to gain some", "final_energy_weight': 1 is greater than the maximum of 0 (energy_weight is 0", model(training={"energy_weight": 0, "final_energy_weight": 1})),
    ("energies that are to lose all weight", "energy_weight': 1 is greater than the maximum of 0 (final_energy_weight is 0", model(training={"energy_weight": 1, "final_energy_weight": 0})),
    ("forces of fixed images", "training.forces_weight': 1.0 is greater than the maximum of 0 (fixed images have no forces", model(training={"augmentation": None})),
    ("two numbers for the one energy of a sheet", "key 'models.ednn.outputs': 2", model(network="cnn", outputs=2)),
    ("voxels of a sheet", "key 'models.ednn.dims': 3", model(network="cnn", form="open", dims=3)),
    ("no channels", "key 'models.ednn.channels': [] should be non-empty", model(channels=[])),
    ("channels as one text", "key 'models.ednn.channels': 'BCN' does not match", model(channels="BCN")),
    ("a channel of no element", "key 'models.ednn.channels.1': 'Nn' is not a 'chemical symbol'", model(channels=["C", "Nn"])),
    ("one element in two channels", "key 'models.ednn.channels': ['C', 'C'] has non-unique elements", model(channels=["C", "C"])),
    ("a channel of no element, of the raster stage", "key 'raster.channels.0': 'Nn' is not a 'chemical symbol'", configured(raster={"channels": ["Nn"]})),
    ("first weights that are nowhere", "models.ednn.training.initial_weights: 'none.pt': no such model of the configuration", model(training={"initial_weights": "none.pt"})),
    ("a model that goes on from itself", "'ednn' has no training of seed 0 to go on from", model(training={"initial_weights": "ednn"})),
    ("a network of the papers' tiles that is to learn from rotated sheets", "models.ednn: training.augmentation.rotation_deg needs an ednn with tile_network: convolutional", model(tile_network="paper", context_px=32, training={"samples": 10, "augmentation": {"rotation_deg": 60}})),
    ("charges of edges where a network has none", "models.ednn: training.edge_charge_e is for readout charge-equilibration", model(training={"samples": 10, "edge_charge_e": -0.3})),
    ("a CNN that is to learn stress", "models.ednn: training.stress_weight needs an ednn", model(network="cnn", training={"samples": 10, "stress_weight": 1.0})),
    ("a variant without a data set that is not there", "models.ednn-ablation-x-seed0.training.exclude: 'other-*' is none of structures.datasets", study(training={"exclude": ["other-*"]})),
    ("a teacher that is nowhere", "teacher.models: 'none' is no model of this configuration, no published one and no file", dataset(teacher={"models": ["none"]})),
    ("a part of the energy asked of images", "models.m.training.target: kinetic; of models of sheets only", configured(models={"m": {**EDNN, "images": "m.h5", "training": {"augmentation": None, "forces_weight": 0, "target": "kinetic"}}})),
    ("an unknown optimizer", "models.ednn.training.optimizer'", model(training={"optimizer": "sgdx"})),
    ("oversampling a data set that is not there", "training.oversample: 'other-*' is none of structures.datasets", model(training={"oversample": {"other-*": 3}})),
    ("leaving out a data set that is not there", "training.exclude: 'other-*' is none of structures.datasets", model(training={"exclude": ["other-*"]})),
    ("oversampling what is tested on", "names far, whose set is independent-md; a training may not know what it is tested on", model(sheets={"mine": SHEET, "far": {**SHEET, "set": "independent-md"}}, training={"oversample": {"far": 3}})),
    ("a set to test on with elements that nothing to train on has", "has B, which no data set has that this network is trained on", model(sheets={"mine": SHEET, "far": {**SHEET, "family": "hbn", "set": "extrapolation"}})),
    ("cells that are no rectangle, for a CNN", "those of data set 'turned' have none; leave it out with training.exclude: [turned]", model(sheets={"mine": SHEET, "turned": {**SHEET, **TURNED, "set": "train"}}, network="cnn", image_px=64)),
    ("the same, split for its tests too, for an EDNN of `tile_network: paper`", "give it set: train and leave it out with training.exclude: [turned]", model(sheets={"mine": SHEET, "turned": {**SHEET, **TURNED}}, tile_network="paper", context_px=16)),
    ("a focus that the strides do not divide", "focus_px", model(focus_px=5)),
    ("timing a model that is not there", "timing.networks.models: 'cnn' is not among models", configured(structures={"datasets": {"mine": SHEET}}, models={"ednn": EDNN})),
    ("the sheet by a model that is not there", "sheet.model: 'other' is not among models", configured(structures={"datasets": {"mine": SHEET}}, models={"ednn": EDNN}, timing={"networks": {"models": ["ednn"]}}, sheet={"model": "other"})),
    ("training on Ising lattices that are not made", "training.ising.length: 8 is not among structures.ising", configured(structures={"ising": [{"length": 16, "samples": 2}]})),
    ("Ising lattices that tiles do not fill", "training.ising.focus_px: 4; lattices of side 2 are no whole number of such tiles", lattices(2, 9)),
    ("Ising lattices too few to train on", "structures.ising: 2 lattices of side 8; 1 is held back", lattices(8, 2)),
    ("no archive and none computed", "with archive: false and missing: leave-out there are no labels", configured(reference={"labels": {"archive": False, "missing": "leave-out"}})),
    ("GPAW's basis of a kind that it lacks", "reference.dft.mode", configured(reference={"dft": {"mode": "pw"}})),
    ("negative cores", "timing.networks.threads", configured(timing={"networks": {"threads": 0}})),
):  # fmt: skip
    CASES.append(Case("configuration", wrong, says, run))

for wrong, says, name in (
    ("a key given twice", "line 2: key 'run' is given twice, first in line 1", "twice.yaml"),
    ("a key that YAML makes a number of (`2024:`)", "key '2024' is a number to YAML; quote it", "names.yaml"),
    ("a file in another encoding than UTF-8", "save it as UTF-8", "latin1.yaml"),
):  # fmt: skip
    CASES.append(Case("configuration", wrong, says, lambda folder, name=name: load_config(ROOT / "tests/files" / name)))
CASES.append(
    Case(
        "configuration",
        "a key that YAML makes true or false of (`no:`)",
        "key 'no' is true or false to YAML; quote it",
        config_text("no: 1\n"),
    )
)


@case("configuration", "labels without forces where a UF3 potential is fitted", "add them or set peers.uf3: null")
def _(folder):
    from extensive.peers import uf3

    uf3.train([rattled()], {}, folder / "uf3.uf3", folder / "uf3.json")


@case("configuration", "labels to test on with an element that no others have", "of the set 'test' has N")
def _(folder):
    from extensive.training.fit import train_model

    sheets = [rattled(), rattled()]
    sheets[1].numbers[0] = 7
    for name, atoms in zip(("one", "other"), sheets, strict=True):
        atoms.info |= {"structure_id": name, "REF_energy": -200.0}
    splits, entry = {"train": ["one"], "validation": [], "test": ["other"]}, {**TINY.to_dict(), "training": {}}
    train_model("mine", entry, sheets, splits, folder / "mine", folder / "curve.csv", "cpu")


NOTHING = "of models of sheets only, leave it out"
for wrong, says, run in (
    ("a group in place of images", "must be data sets of numbers", images(lambda file: (file.pop("images"), file.create_group("images")))),
    ("images that are text", "must be data sets of numbers", images(replace("images", [b"x"] * 4))),
    ("energies that are text", "must be data sets of numbers", images(replace("energies", [b"x"] * 4))),
    ("one energy of all images", "energies (), n_atoms ()", images(replace("energies", 1.0))),
    ("a number of atoms that is NaN", "n_atoms holds nan; each is a whole number", images(lambda file: file.create_dataset("n_atoms", data=[np.nan] * 4))),
    ("a part of an atom", "n_atoms holds 1.9; each is a whole number", images(lambda file: file.create_dataset("n_atoms", data=[1, 2, 1.9, 3]))),
    ("a part of the energy asked of images", f"training.target: kinetic; {NOTHING}", images(lambda file: None, target="kinetic")),
    ("a teacher's labels asked of images", f"training.teacher_labels: True; {NOTHING}", images(lambda file: None, teacher_labels=True)),
    ("stress asked of images", f"training.stress_weight: 1; {NOTHING}", images(lambda file: None, stress_weight=1)),
    ("data sets asked of images", f"training.only: ['x']; {NOTHING}", images(lambda file: None, only=["x"])),
):  # fmt: skip
    CASES.append(Case("files of images", wrong, says, run))


# --- the machine, and the command line ---------------------------------------------------------------------------


def command(*arguments: str, prepare: Callable[[Path], None] | None = None) -> Callable[[Path], None]:
    """Arguments may name {folder}."""

    def run(folder: Path) -> int:
        from extensive.cli import main

        if prepare:
            prepare(folder)
        return main([argument.format(folder=folder) for argument in arguments])

    return run


def with_labels(verb: str, *options: str, **labels: Any) -> Callable[[Path], None]:
    """Run a verb on one structure with such labels."""

    def prepare(folder: Path) -> None:
        write_model(folder / "tiny")
        atoms = rattled()
        for name, value in labels.items():
            if isinstance(value, list):
                atoms.arrays[name] = np.array(value * len(atoms))
            else:
                atoms.info[name] = value
        ase.io.write(folder / "in.extxyz", atoms)

    out = ("{folder}/out.h5",) if verb == "rasterize" else ("{folder}/out.extxyz", "--model", "{folder}/tiny")
    return command(verb, "{folder}/in.extxyz", *out, *options, prepare=prepare)


@case("machine", "a full disk", "No space left on device")
def _(folder):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "sheets.extxyz"))
    with mock.patch("os.fsync", side_effect=full):
        return command("generate", "mine", "{folder}/sheets.extxyz")(folder)


@case("machine", "a read-only disk", "Read-only file system")
def _(folder):
    refused = OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder / "sheets.extxyz"))
    with mock.patch("tempfile.mkstemp", side_effect=refused):
        return command("generate", "mine", "{folder}/sheets.extxyz")(folder)


@case("machine", "a folder that is a file", "exists")
def _(folder):
    (folder / "taken").write_text("")
    return command("generate", "mine", "{folder}/taken/sheets.extxyz")(folder)


@case("machine", "no GPAW", "gpaw is not installed")
def _(folder):
    ase.io.write(folder / "in.extxyz", rattled())
    missing = importlib.metadata.PackageNotFoundError("gpaw")
    with mock.patch("importlib.metadata.version", side_effect=missing):
        return command("label", "{folder}/in.extxyz", "{folder}/out.extxyz")(folder)


@case("machine", "no GPU where one is asked for", "no GPU is visible to PyTorch; use auto or cpu")
def _(folder):
    from extensive.models.devices import pick_device

    with mock.patch("torch.cuda.is_available", return_value=False):
        pick_device("cuda")


for wrong, says, run in (
    ("an unknown command", "No such command", command("foretell")),
    ("an argument left out", "Missing argument", command("predict")),
    ("an unknown option", "No such option", command("generate", "mine", "x.extxyz", "--colour", "red")),
    ("text where a number belongs", "--count", command("generate", "mine", "x.extxyz", "--count", "few")),
    ("a format that ASE cannot write", "cannot be written", command("predict", "{folder}/in.extxyz", "{folder}/out.nonsense", "--model", "{folder}/tiny", prepare=lambda folder: (write_model(folder / "tiny"), ase.io.write(folder / "in.extxyz", rattled())))),
    ("an element that the model does not know", "element Si is unknown to the model", command("predict", "{folder}/in.extxyz", "{folder}/out.extxyz", "--model", "{folder}/tiny", prepare=lambda folder: (write_model(folder / "tiny", elements=("B", "N", "C")), ase.io.write(folder / "in.extxyz", silicon())))),
    ("an energy that is text, beside a structure to predict", "in.extxyz, frame 1: REF_energy is 'none'; it must be a finite number, in eV", with_labels("predict", REF_energy="none")),
    ("an energy that is NaN, beside one", "in.extxyz, frame 1: REF_energy is nan; it must be a finite number, in eV", with_labels("predict", REF_energy=np.nan)),
    ("an energy of nine numbers, beside one", "it must be a finite number, in eV", with_labels("predict", REF_energy=np.eye(3))),
    ("forces of one column, beside one", "REF_forces must be 24 x 3 finite numbers, in eV/Angstrom", with_labels("predict", REF_forces=[0.1])),
    ("a column of text named as the forces", "in.extxyz, frame 1: column 'tag' holds no numbers, and so no forces", with_labels("predict", "--forces-key", "tag", tag=["a"])),
    ("the same, of labels to learn from", "in.extxyz, frame 1: column 'tag' holds no numbers, and so no forces", with_labels("rasterize", "--forces-key", "tag", REF_energy=-200.0, tag=["a"])),
    ("a negative seed of structures", "Invalid value for '--seed'", command("generate", "mine", "x.extxyz", "--seed", "-1")),
    ("a negative seed of a sheet", "Invalid value for '--seed'", command("sheet", "ednn", "--blocks", "1", "1", "--seed", "-1")),
    ("a pixel size that is NaN", "pixel_size_A nan and multiple 64 must be positive, and finite", with_labels("rasterize", "--pixel-size-A", "nan", REF_energy=-200.0)),
    ("Gaussians whose width is NaN", "sigma_A nan must be positive and finite", with_labels("rasterize", "--sigma-A", "nan", REF_energy=-200.0)),
    ("a displacement of a sheet that a file has", "--file and --displacement-A: give one of the two; --displacement-A is for sheets that are made", command("sheet", "ednn", "--file", "x.extxyz", "--displacement-A", "0.1")),
    ("a seed of a sheet that a file has", "--file and --seed: give one of the two", command("sheet", "ednn", "--file", "x.extxyz", "--seed", "3")),
    ("a stress in GPa that `predict` is to compare with", "in.extxyz, frame 1: a stress of 4.14; the unit must be eV/Angstrom^3", with_labels("predict", "--stress-key", "REF_stress", REF_stress=np.full(6, 4.14))),
    ("an unknown model", "no such model", command("inspect", "{folder}/none")),
    ("a folder as a model", ".: no such model", command("inspect", ".")),
    ("sizes that are not numbers", "whole numbers separated by commas", command("time", "{folder}/none", "--cells", "1,many")),
    ("a data set that the configuration lacks", "structures.datasets has no 'other'", command("generate", "other", "x.extxyz", "--config", str(ROOT / "config/smoke.yaml"))),
    ("an unknown number type", "it must be one of", command("predict", "{folder}/in.extxyz", "{folder}/out.extxyz", "--dtype", "float8", "--model", "{folder}/tiny")),
):  # fmt: skip
    CASES.append(Case("command line", wrong, says, run))


def silicon():
    atoms = rattled()
    atoms.numbers[0] = 14
    return atoms


def page() -> str:
    """docs/bad-input.md."""
    lines = [
        "# What wrong input gives",
        "",
        "Wrong input ends with one line that says what is wrong and where, before any long work. The command line puts",
        "`extensive: error:` before it and ends with status 2; in Python it is an `InputError`. On the right is part of that line.",
        f"The {len(CASES)} cases are made from the tests that prove them (`python tests/bad_input_cases.py > docs/bad-input.md`).",
    ]
    for group in dict.fromkeys(entry.group for entry in CASES):
        lines += ["", f"## {group.capitalize()}", "", "| wrong | the line says |", "|---|---|"]
        for entry in CASES:
            if entry.group == group:
                quoted = entry.says.replace("|", "\\|")
                lines.append(f"| {entry.wrong} | {quoted} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
