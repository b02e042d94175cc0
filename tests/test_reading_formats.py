"""Formats as programs and editors write them: all frames, their labels and nothing that ASE makes up."""

import gzip
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from own_models import rattled

from extensive import keys
from extensive.errors import InputError
from extensive.structures.labels import LabelKeys
from extensive.structures.reading import read_any
from extensive.structures.user_files import read_labelled

DUMP = """{first}ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp ff
0 4.3
0 2.5
0 16
ITEM: ATOMS id type {columns}
1 1 {element} 0 0 8 23.06 0 0
2 1 {element} 1.4 0 8 -23.06 0 0
"""


def written(path: Path, form: str, frames: int = 1, **options) -> list:
    """Write that many sheets of 24 atoms, and give them."""
    structures = [rattled(seed=seed) for seed in range(frames)]
    ase.io.write(path, structures if frames > 1 else structures[0], format=form, **options)
    return structures


@pytest.mark.parametrize("name", ["XDATCAR", "frames.dat"])
def test_all_frames_of_an_xdatcar_are_read(name, tmp_path):
    structures = written(tmp_path / name, "vasp-xdatcar", frames=3)
    found = read_any(tmp_path / name)
    assert len(found) == 3
    for atoms, known in zip(found, structures, strict=True):
        np.testing.assert_allclose(atoms.get_scaled_positions(), known.get_scaled_positions(), atol=1e-7)


FORMS = {"vasp": "vasp", "cif": "cif", "json": "json", "traj": "traj", "db": "db", "data": "lammps-data"}


@pytest.mark.parametrize("suffix", FORMS)
def test_names_with_an_at_sign(suffix, tmp_path):
    path = tmp_path / f"N@graphene.{suffix}"
    options = {"masses": True} if suffix == "data" else {}
    (atoms,) = written(path, FORMS[suffix], **options)
    (found,) = read_any(path)
    assert found.get_chemical_formula() == atoms.get_chemical_formula()


def test_a_dump_whose_name_has_an_at_sign(tmp_path):
    path = tmp_path / "N@graphene.dump"
    path.write_text(DUMP.format(first="", columns="element x y z fx fy fz", element="C"))
    assert read_any(path)[0].get_chemical_formula() == "C2"


def test_a_poscar_whose_title_is_a_number(tmp_path):
    path = tmp_path / "a.vasp"
    (atoms,) = written(path, "vasp")
    path.write_text("\n".join(["12", *path.read_text().splitlines()[1:]]))
    (found,) = read_any(path)
    assert len(found) == len(atoms)


@pytest.mark.parametrize("form", ["extxyz", "cif", "vasp", "json"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_skipped(form, packed, tmp_path):
    path = tmp_path / f"a.{form}"
    (atoms,) = written(path, form)
    text = b"\xef\xbb\xbf" + path.read_bytes()
    path = tmp_path / f"b.{form}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text) if packed else text)
    (found,) = read_any(path)
    np.testing.assert_array_equal(np.sort(found.numbers), np.sort(atoms.numbers))


def test_blank_lines_before_xyz_are_skipped(tmp_path):
    path = tmp_path / "a.xyz"
    structures = written(path, "extxyz", frames=2)
    path.write_text("\n \n" + path.read_text())
    assert list(map(len, read_any(path))) == list(map(len, structures))


@pytest.mark.parametrize(
    ("first", "force"), [("ITEM: UNITS\nmetal\n", 23.06), ("ITEM: TIME\n0.5\n", 23.06), ("ITEM: UNITS\nreal\n", 1.0)]
)
def test_dumps_that_state_units_or_time_are_dumps(first, force, tmp_path):
    path = tmp_path / "a.dump"
    path.write_text(DUMP.format(first=first, columns="element x y z fx fy fz", element="C"))
    (atoms,) = read_any(path)
    assert atoms.get_chemical_formula() == "C2"
    assert "energy" not in atoms.calc.results
    assert atoms.get_forces()[0, 0] == pytest.approx(force, rel=1e-3)
    path.write_text(DUMP.format(first=first, columns="x y z fx fy fz", element=""))
    with pytest.raises(InputError, match="dump without elements"):
        read_any(path)


@pytest.mark.parametrize("name", ["a.db", "a.json", "misnamed.dat"])
def test_key_value_pairs_of_a_database_are_labels(name, tmp_path):
    path = tmp_path / name
    structures = [rattled(seed=seed) for seed in range(2)]
    forces = np.full((len(structures[0]), 3), 0.5)
    with ase.db.connect(path, type="json" if name.endswith("json") else "db", serial=True) as database:
        for number, atoms in enumerate(structures):
            atoms.calc = SinglePointCalculator(atoms, forces=forces)
            database.write(atoms, dft_energy=-280.0 - number)
    found = read_labelled([path], "mine", with_forces=True, named=LabelKeys(energy_key="dft_energy"))
    assert [atoms.info[keys.REF_ENERGY] for atoms in found] == [-280.0, -281.0]
    for atoms in found:
        np.testing.assert_array_equal(atoms.arrays[keys.REF_FORCES], forces)
