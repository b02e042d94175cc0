"""Wrong files: structures, images, models, labels. The rest of the table is in bad_input_cases.py."""

# ruff: noqa: E501 - a table

import gzip
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import torch
from own_models import rattled, write_model

from extensive.config import complete_config
from extensive.io import file_digest, write_text

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """`run(folder)` must raise InputError (or the command line end with status 2) with `says` in its one line."""

    group: str
    wrong: str
    says: str
    run: Callable[[Path], Any]


CASES: list[Case] = []


def case(group: str, wrong: str, says: str) -> Callable:
    def add(run: Callable[[Path], Any]) -> Callable:
        CASES.append(Case(group, wrong, says, run))
        return run

    return add


# --- structures and labels ---------------------------------------------------------------------------------------


def labelled(change: Callable[[Any], None], with_forces: bool = True) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from extensive.structures.user_files import read_labelled

        atoms = rattled()
        atoms.info["REF_energy"] = -9.0 * len(atoms)
        atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
        change(atoms)
        ase.io.write(folder / "mine.extxyz", atoms)
        read_labelled([folder / "mine.extxyz"], "mine", with_forces)

    return run


def set_position(index: int, value: Any) -> Callable[[Any], None]:
    return lambda atoms: atoms.positions.__setitem__(index, value)


for wrong, says, change in (
    ("a position that is NaN", "positions hold NaN or infinity", set_position((0, 0), np.nan)),
    ("overlapping atoms", "atoms overlap, or lengths are not in Angstrom", lambda atoms: atoms.positions.__setitem__(1, atoms.positions[0] + 0.05)),
    ("positions in nanometres", "atoms overlap, or lengths are not in Angstrom", lambda atoms: atoms.set_cell(atoms.cell.array * 0.1, scale_atoms=True)),
    ("no cell", "no cell; a sheet needs its two period vectors", lambda atoms: (atoms.set_pbc(False), atoms.set_cell([0, 0, 0]))),
    ("a sheet that is not periodic", "must be periodic along two axes", lambda atoms: atoms.set_pbc(False)),
    ("two layers", "2 layers, 3.35 A from the lowest atom", lambda atoms: atoms.positions.__setitem__((slice(0, None, 2), 2), 8.35)),
    ("bulk", "bulk or a stack of layers; a sheet needs vacuum", lambda atoms: (atoms.set_pbc(True), atoms.cell.__setitem__((2, 2), 3.35))),
    ("a chain", "a chain, which is no sheet", lambda atoms: (atoms.__delitem__(slice(1, None)), atoms.set_cell([1.3, 20, 20]))),
    ("a buckled sheet", "the image knows flat sheets only", set_position((0, 2), 7.0)),
    ("no label", "no REF_energy (eV)", lambda atoms: atoms.info.pop("REF_energy")),
    ("an energy that is NaN", "must be a finite number, in eV", lambda atoms: atoms.info.update(REF_energy=np.nan)),
    ("an energy that is text", "must be a finite number, in eV", lambda atoms: atoms.info.update(REF_energy="low")),
    ("an energy in another unit", "per atom; the unit must be eV", lambda atoms: atoms.info.update(REF_energy=-1e9)),
    ("no forces where they are learned", "add them or set training.forces_weight: 0", lambda atoms: atoms.arrays.pop("REF_forces")),
    ("forces in another unit", "the unit must be eV/Angstrom", lambda atoms: atoms.arrays["REF_forces"].__iadd__(5e4)),
    ("a force that is infinite", "finite numbers, in eV/Angstrom", lambda atoms: atoms.arrays["REF_forces"].__setitem__((0, 0), np.inf)),
    ("a frame of a trajectory without parent", "name its trajectory", lambda atoms: atoms.info.update(sampler="md")),
    ("an unknown sampler", "it must be pristine, rattle or md", lambda atoms: atoms.info.update(sampler="walk")),
):  # fmt: skip
    CASES.append(Case("structures", wrong, says, labelled(change)))


def own_file(name: str, with_forces: bool = True) -> Callable[[Path], None]:
    """One of tests/files, as labelled structures."""

    def run(folder: Path) -> None:
        from extensive.structures.user_files import read_labelled

        read_labelled([ROOT / "tests/files" / name], "mine", with_forces)

    return run


for wrong, says, name in (
    ("an energy under another name", "found key 'dft_energy'; set energy_key: dft_energy", "labels-dft_energy-dft_forces.xyz"),
    ("forces under another name", "found column 'force'; set forces_key: force", "labels-energy-force.xyz"),
    ("a LAMMPS dump with forces and no energy", "no REF_energy (eV), energy or free_energy", "forces-without-energy.lammpstrj"),
    ("a rippled sheet", "it is a projection, to which heights are lost", "rippled.extxyz"),
    ("XYZ without a cell", "no cell; a sheet needs its two period vectors", "no-cell.xyz"),
):  # fmt: skip
    CASES.append(Case("structures", wrong, says, own_file(name)))


@case(
    "structures",
    "one frame's energy per atom, with `labels.outliers: stop`",
    "one energy per atom, where a total is needed?",
)
def _(folder):
    from extensive.structures.labels import Outliers, look_for_outliers
    from extensive.structures.user_files import read_labelled

    found = read_labelled([ROOT / "tests/files/labels-no-pbc-key.xyz"], "mine")
    found[3].info["REF_energy"] /= len(found[3])
    look_for_outliers(found, Outliers("stop"))


@case("structures", "a LAMMPS data file without masses", "without Masses, so without elements; convert it")
def _(folder):
    from extensive.structures.reading import read_any

    text = (ROOT / "tests/files/hbn.data").read_text()
    (folder / "hbn.data").write_text(text[: text.index("Masses")] + text[text.index("Atoms") :])
    read_any(folder / "hbn.data")


@case("structures", "isolated atoms alone", "holds isolated atoms only, and no sheet")
def _(folder):
    from extensive.structures.user_files import read_labelled

    text = (ROOT / "tests/files/labels-with-an-isolated-atom.xyz").read_text()
    (folder / "atom.xyz").write_text("\n".join(text.splitlines()[:3]) + "\n")
    read_labelled([folder / "atom.xyz"], "mine")


@case("structures", "a file that is not there", "no such file")
def _(folder):
    from extensive.structures.user_files import read_any

    read_any(folder / "none.extxyz")


@case("structures", "an empty file", "holds no structures")
def _(folder):
    from extensive.structures.user_files import read_any

    write_text(folder / "empty.extxyz", "")
    read_any(folder / "empty.extxyz")


@case("structures", "a truncated extended XYZ", "not readable as extended XYZ")
def _(folder):
    from extensive.structures.user_files import read_any

    ase.io.write(folder / "cut.extxyz", rattled())
    text = (folder / "cut.extxyz").read_text()
    (folder / "cut.extxyz").write_text(text[: len(text) // 2])
    read_any(folder / "cut.extxyz")


@case("structures", "a file of another kind", "not readable as structures")
def _(folder):
    from extensive.structures.user_files import read_any

    (folder / "noise.dat").write_bytes(bytes(range(256)))
    read_any(folder / "noise.dat")


@case("structures", "a gzipped file whose body is damaged", "cannot be read (Error -3 while decompressing data")
def _(folder):
    from extensive.structures.user_files import read_any

    whole = bytearray(gzip.compress((ROOT / "tests/files/hbn.data").read_bytes()))
    whole[10:40] = bytes(range(100, 130))
    (folder / "hbn.data.gz").write_bytes(whole)
    read_any(folder / "hbn.data.gz")


def streamed(text: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from extensive.timing.sheet import file_source

        write_text(folder / "sheet.xyz", text)
        file_source(folder / "sheet.xyz")

    return run


SQUARE = 'Lattice="9 0 0 0 9 0 0 0 9"'
for wrong, says, text in (
    ("that is cut off", "the file is truncated", f"2\n{SQUARE}\nC 0 0 0\n"),
    ("without its cell", 'has no Lattice="..."', "1\nmine\nC 0 0 0\n"),
    ("without atoms", "0 atoms found, 1 announced in line 1", f"1\n{SQUARE}\n"),
    ("of too few columns", "line 3 has fewer than 4 columns", f"1\n{SQUARE}\nC 0 0\n"),
):  # fmt: skip
    CASES.append(Case("structures", f"a sheet to stream {wrong}", says, streamed(text)))


@case("structures", "one geometry in two sets", "the same geometry is in several sets")
def _(folder):
    from extensive.structures.user_files import name_structures
    from extensive.training.splits import check_honest

    structures = name_structures([rattled(), rattled()], "mine")
    check_honest({"train": ["mine-00000"], "test": ["mine-00001"]}, structures)


# --- files of images ---------------------------------------------------------------------------------------------


def images(change: Callable[[Any], None], **training: Any) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from extensive.training.image_files import train_on_images

        with h5py.File(folder / "mine.h5", "w") as file:
            file["images"], file["energies"] = np.zeros((4, 16, 16)), np.zeros(4)
            file.attrs["energy_unit"] = "eV"
            change(file)
        entry = {
            "images": "mine.h5",
            "training": {"forces_weight": 0, "augmentation": None, **training},
            "network": "ednn",
        }
        entry = complete_config({"models": {"mine": entry}})["models"]["mine"]
        splits = {"block": 3, "md_test_every": 4}
        train_on_images("mine", entry, folder / "mine.h5", splits, 0, folder / "mine", folder / "curve.csv", "cpu")

    return run


def replace(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = value

    return change


for wrong, says, run in (
    ("no energies", "no data set 'energies'", images(lambda file: file.pop("energies"))),
    ("no unit", "state it, and it must be 'eV'", images(lambda file: file.attrs.pop("energy_unit"))),
    ("another unit", "energy_unit is 'Hartree'", images(lambda file: file.attrs.update(energy_unit="Hartree"))),
    ("more images than energies", "expected (B, C, H, W)", images(replace("energies", np.zeros(3)))),
    ("an energy that is NaN", "energies hold NaN or infinity", images(replace("energies", [0, 1, 2, np.nan]))),
    ("two channels for a network of one", "the images have 2", images(replace("images", np.zeros((4, 2, 16, 16))))),
    ("a size that the strides do not divide", "needs multiples of", images(replace("images", np.zeros((4, 17, 16))))),
    ("forces asked of images", "images have no forces, set 0", images(lambda file: None, forces_weight=1)),
    ("symmetries asked of images", "training.augmentation: must be null", images(lambda file: None, augmentation={})),
):
    CASES.append(Case("files of images", wrong, says, run))


@case("files of images", "a truncated HDF5 file", "not readable as HDF5")
def _(folder):
    from extensive.training.image_files import read_labelled_images

    with h5py.File(folder / "cut.h5", "w") as file:
        file["images"] = np.random.default_rng(0).random((8, 32, 32))
    with open(folder / "cut.h5", "r+b") as stream:
        stream.truncate(3000)
    read_labelled_images(folder / "cut.h5")


# --- models ------------------------------------------------------------------------------------------------------


def broken(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from extensive.models import load_model

        path = write_model(folder / "tiny")
        change(path)
        load_model(path)

    return run


def describe(**values: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path.with_suffix(".json")
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return change


def cut(path: Path) -> None:
    weights = path.with_suffix(".pt")
    weights.write_bytes(weights.read_bytes()[:500])


class Hostile:
    """Unpickled with code execution allowed, it would leave a file."""

    def __reduce__(self):
        return os.system, ("touch hostile-code-ran",)


def hostile(path: Path) -> None:
    weights = path.with_suffix(".pt")
    torch.save({"network": Hostile()}, weights, pickle_module=pickle)
    describe(weights_sha256=file_digest(weights))(path)


def cut_and_sign(path: Path) -> None:
    cut(path)
    describe(weights_sha256=file_digest(path.with_suffix(".pt")))(path)


def exchange(path: Path) -> None:
    other = write_model(path.with_name("other"), seed=1)
    shutil.copy(other.with_suffix(".pt"), path.with_suffix(".pt"))


for wrong, says, change in (
    ("truncated weights", "sha256 differs", cut),
    ("truncated weights with a matching digest", "not readable as this model's weights", cut_and_sign),
    ("weights that would run code", "not readable as this model's weights", hostile),
    ("another model's weights", "sha256 differs", exchange),
    ("no weights", "no such file; it belongs beside", lambda path: path.with_suffix(".pt").unlink()),
    ("no description", "not readable as JSON", lambda path: path.with_suffix(".json").unlink()),
    (
        "a description cut off",
        "not readable as JSON",
        lambda path: path.with_suffix(".json").write_text('{"format": 1'),
    ),
    ("other units", "expected 1, {'energy': 'eV'", describe(units={"energy": "Hartree"})),
    ("an energy scale that is NaN", "must be finite numbers of known elements", describe(energy_scale_eV=float("nan"))),
):
    CASES.append(Case("models", wrong, says, broken(change)))


# --- the archive of labels ---------------------------------------------------------------------------------------


def archive(change: Callable[[str], str | bytes]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from extensive.reference.archive import read_labels

        published = ROOT / "results/published/labels/graphene-pristine.extxyz.gz"
        changed = change(gzip.decompress(published.read_bytes()).decode())
        path = folder / published.name
        path.write_bytes(changed if isinstance(changed, bytes) else gzip.compress(changed.encode()))
        read_labels(path)

    return run


for wrong, says, change in (
    ("a label file cut off", "not readable as extended XYZ", lambda text: gzip.compress(text.encode())[:900]),
    ("an energy edited by hand", "its energy or forces were changed", lambda text: text.replace("REF_energy=-", "REF_energy=-1", 1)),
    ("no labels in it", "holds no labels", lambda text: ""),
):  # fmt: skip
    CASES.append(Case("archive of labels", wrong, says, archive(change)))
