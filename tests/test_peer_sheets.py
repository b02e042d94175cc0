"""Baselines: sheets in any description, labels without forces, trainings told apart, number types of time and error."""

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from own_models import CNN, rattled, write_model

from extensive import keys
from extensive.errors import InputError
from extensive.inference import Engine, number_types
from extensive.io import read_json
from extensive.models import load_model
from extensive.peers import compare, mace, networks, snap, uf3
from extensive.peers.lammps import HEIGHT_A, Lammps, upright
from extensive.peers.sheets import timed, with_height
from extensive.structures.frame import frame_of
from extensive.structures.lattices import graphene
from extensive.timing.measure import Timing

FILES = Path(__file__).parent / "files"
DESCRIPTIONS = ["vacuum-along-y.extxyz", "across-the-z-boundary.extxyz", "rotated-whole.extxyz", "hexagonal-60-hbn.cif"]
SETTINGS = {"channels": 4, "max_L": 0, "cutoff_A": 3.0, "layers": 1, "batch_size": 2, "epochs": 4}


def lennard_jones(atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (N, 3) (eV/Angstrom), far less than across any vacuum, wherever the plane lies."""
    calculator = LennardJones(sigma=1.2, epsilon=0.1, rc=4.0, smooth=True)
    calculator.calculate(atoms, ["energy", "forces"])
    return calculator.results["energy"], calculator.results["forces"]


def labelled(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.info[keys.REF_ENERGY], atoms.arrays[keys.REF_FORCES] = lennard_jones(atoms)
    return atoms


def aligned_sheets() -> list[Atoms]:
    """In x and y: a rectangle that is not quite flat, a hexagonal and a chiral cell, with forces along z too."""
    sheets = [rattled(seed=1), graphene((3, 3), 2.46, "hexagonal"), graphene((1, 1), 2.46, {"chiral": [2, 1]})]
    rng = np.random.default_rng(0)
    for atoms in sheets:
        atoms.positions += [0.03, 0.03, 0.01] * rng.standard_normal((len(atoms), 3))
        atoms.info[keys.REF_ENERGY] = -9.0 * len(atoms)
        atoms.arrays[keys.REF_FORCES] = rng.standard_normal((len(atoms), 3))
    return sheets


@pytest.mark.parametrize("atoms", aligned_sheets(), ids=["rectangle", "hexagonal", "chiral"])
def test_sheets_along_x_and_y_stay_as_they_are_to_the_last_digit(atoms):
    sheet, cell = with_height(atoms), atoms.cell.array.copy()
    cell[2] = 0.0, 0.0, HEIGHT_A
    assert np.array_equal(sheet.positions, atoms.positions)
    assert np.array_equal(sheet.cell.array, cell)
    assert np.array_equal(sheet.arrays[keys.REF_FORCES], atoms.arrays[keys.REF_FORCES])
    flat = Atoms(atoms.numbers, atoms.positions, cell=cell, pbc=True)
    flat.positions[:, 2] = HEIGHT_A / 2
    flat.wrap()
    found, prism = upright(atoms)
    assert np.array_equal(found.positions, prism.vector_to_lammps(flat.positions))
    assert np.array_equal(found.cell.array, prism.cell)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_sheet_in_any_description_is_laid_flat_with_its_labels(name):
    """The energy is that of the file's own axes, and labels turn with the sheet: forces of what was laid are theirs."""
    atoms = labelled(ase.io.read(FILES / name))
    sheet = with_height(atoms)
    assert np.ptp(sheet.positions[:, 2]) < 0.1
    closest = frame_of(atoms).bonds.nearest.min()
    for laid, forces in (
        (sheet, sheet.arrays[keys.REF_FORCES]),
        (upright(atoms)[0], snap.labelled(atoms).calc.results["forces"]),
    ):
        distances = laid.get_all_distances(mic=True)
        assert distances[np.triu_indices(len(laid), 1)].min() == pytest.approx(closest, abs=1e-3)
        energy, found = lennard_jones(laid)
        # Heights of a few hundredths of an Angstrom are lost to LAMMPS.
        assert energy == pytest.approx(atoms.info[keys.REF_ENERGY], rel=5e-3)
        assert found[:, :2] == pytest.approx(forces[:, :2], abs=0.02)


class FakeLAMMPS:
    """Commands and questions of the library: Lennard-Jones energies of the file that it is told to read."""

    def command(self, text: str) -> None:
        if text.startswith("read_data"):
            atoms = ase.io.read(text.split()[1], format="lammps-data", atom_style="atomic")
            self._energy, self._forces = lennard_jones(atoms)

    def gather_atoms(self, *_: object) -> list[float]:
        return self._forces.ravel().tolist()

    def get_thermo(self, _: str) -> float:
        return self._energy


def in_lammps() -> Lammps:
    potential = object.__new__(Lammps)
    potential.name, potential.elements, potential._pair, potential._offsets = "lj", ("B", "C", "N"), [], {}
    potential._lammps = FakeLAMMPS()
    return potential


def in_mace() -> mace.Mace:
    def calculate(atoms: Atoms, _: object) -> None:
        calculator.results = dict(zip(("energy", "forces"), lennard_jones(atoms), strict=True))

    potential, calculator = object.__new__(mace.Mace), SimpleNamespace(calculate=calculate)
    potential._calculator = calculator
    return potential


@pytest.mark.parametrize("make", [in_lammps, in_mace])
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_forces_come_back_into_the_users_axes(make, name):
    atoms = labelled(ase.io.read(FILES / name))
    energy, forces = make().energy_and_forces(atoms)
    assert energy == pytest.approx(atoms.info[keys.REF_ENERGY], rel=5e-3)
    plane = frame_of(atoms)
    assert forces == pytest.approx(plane.back(plane.in_plane(atoms.arrays[keys.REF_FORCES])), abs=0.02)


def test_errors_of_forces_are_in_the_plane_of_the_sheet():
    atoms = labelled(ase.io.read(FILES / "vacuum-along-y.extxyz"))
    atoms.arrays[keys.REF_FORCES] = atoms.arrays[keys.REF_FORCES] + [0.2, 9.0, -0.4]
    row = compare.accuracy("lj", SimpleNamespace(energy_and_forces=lennard_jones), {"test": [atoms]})[0]
    assert row["forces_mae_meV_per_A"] == pytest.approx(300)


def test_labels_without_forces_have_errors_of_energies_and_are_refused_by_fits(tmp_path):
    whole, alone = labelled(rattled(seed=1)), labelled(rattled(seed=2))
    alone.info |= {keys.STRUCTURE_ID: "mine-00007", keys.REF_ENERGY: alone.info[keys.REF_ENERGY] + 0.1 * len(alone)}
    del alone.arrays[keys.REF_FORCES]
    assert with_height(alone).info[keys.REF_ENERGY] == alone.info[keys.REF_ENERGY]
    assert keys.REF_FORCES not in with_height(alone).arrays
    potential = SimpleNamespace(energy_and_forces=lennard_jones)
    found = compare.accuracy("lj", potential, {"both": [whole, alone], "alone": [alone]})
    assert [row["mae_meV_per_atom"] for row in found] == pytest.approx([50, 100])
    assert found[0]["forces_mae_meV_per_A"] == pytest.approx(0)
    assert math.isnan(found[1]["forces_mae_meV_per_A"])
    with pytest.raises(InputError, match=r"^mine-00007: no REF_forces .* set peers.uf3: null$"):
        uf3.train([whole, alone], {}, tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match=r"^mine-00007: no REF_forces .* set peers.snap: null$"):
        snap.train([whole, alone], {}, tmp_path, tmp_path / "a", tmp_path / "b")


@pytest.fixture
def runs(monkeypatch):
    """MACE's program is replaced: which folders it ran in. A model says how often it was trained there."""
    folders: list[Path] = []

    def run(program: list[str], **_: object) -> SimpleNamespace:
        folder = Path(next(word.split("=")[1] for word in program if word.startswith("--work_dir=")))
        folders.append(folder)
        (folder / "mace_stagetwo.model").write_text(f"{folder.name}, run {folders.count(folder)}")
        return SimpleNamespace(returncode=0)

    monkeypatch.setitem(sys.modules, "mace", SimpleNamespace(__version__="0"))
    monkeypatch.setattr(subprocess, "run", run)
    return folders


def test_mace_continues_no_other_training_and_counts_a_finished_one_once(runs, tmp_path):
    sheets = [labelled(rattled(seed=seed)) for seed in range(3)]
    model = tmp_path / "mace.model"

    def train(training=sheets[:2], validation=sheets[2:], settings=SETTINGS, seed=1):
        return mace.train(training, validation, settings, tmp_path / "work", model, seed)

    first, text = train(), model.read_text()
    assert (first["cores"], first["finished"]) == (1, True)
    model.unlink()
    assert train() == first
    assert model.read_text() == text
    assert len(runs) == 1
    other = sheets[0].copy()
    other.info[keys.REF_ENERGY] += 0.5
    train(training=[other, sheets[1]])
    train(training=sheets[:1], validation=sheets[1:])
    train(settings=SETTINGS | {"channels": 8})
    train(seed=2)
    assert len(set(runs)) == len(runs) == 5
    train()
    assert model.read_text() == text


def test_a_mace_training_that_failed_goes_on_where_it_was_and_both_count(runs, tmp_path, monkeypatch):
    sheets = [labelled(rattled(seed=seed)) for seed in range(2)]
    arguments = sheets[:1], sheets[1:], SETTINGS, tmp_path / "work", tmp_path / "mace.model"
    with monkeypatch.context() as failing:
        failing.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
        with pytest.raises(InputError, match="MACE's training ended with 1"):
            mace.train(*arguments)
    (record,) = (tmp_path / "work").glob("*/seconds.json")
    before = read_json(record)
    assert before["finished"] is False
    assert mace.train(*arguments)["seconds"] > before["seconds"]
    assert runs == [record.parent]


def test_a_finished_training_is_not_counted_again(tmp_path):
    record = tmp_path / "seconds.json"
    with timed(record, 2):
        pass
    first = read_json(record)
    with timed(record, 1):
        pass
    assert read_json(record) == first


def test_time_and_error_of_a_network_are_of_one_number_type(tmp_path, monkeypatch):
    """Where a processor has bfloat16, energies alone are in it; forces, and energies with them, in float32."""
    potential, atoms = load_model(write_model(tmp_path / "ednn")), rattled(seed=1)
    exact = networks.Network(potential, 1)
    assert exact.number_types == ("float32", "float32")
    assert exact.as_timed(atoms)[0] == exact.energy_and_forces(atoms)[0]
    potential.rounding = {"structures": 1, "bfloat16_mean_meV_per_atom": 0.01, "error_meV_per_atom": 1.0}
    monkeypatch.setattr(number_types, "native_bfloat16", lambda device="cpu": True)
    network = networks.Network(potential, 1)
    assert network.number_types == ("bfloat16", "float32")
    energy, forces = network.as_timed(atoms)
    assert energy == network.energy(atoms, 1)() == Engine(potential, "bfloat16", "cpu", 1).energy(atoms)
    assert energy != network.energy_and_forces(atoms)[0]
    assert np.array_equal(forces, network.energy_and_forces(atoms)[1])
    atoms.info[keys.REF_ENERGY] = energy
    rows = compare.accuracy("ednn", network, {"test": [atoms]})
    assert rows[0]["mae_meV_per_atom"] == 0
    accuracy = pd.DataFrame(rows)
    assert tuple(accuracy.columns) == (*keys.ACCURACY_COLUMNS, *compare.NUMBER_TYPES)
    table = compare.summary([Timing("ednn", "cpu", 1, 60, 1.0, 3, 2, "a machine")], accuracy)
    assert table.iloc[0, -2:].tolist() == ["bfloat16", "float32"]
    assert networks.Network(load_model(write_model(tmp_path / "cnn", CNN)), 1).number_types == ("float32", "float32")
