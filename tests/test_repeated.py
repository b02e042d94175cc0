"""A structure that comes again is laid on its grid as a new one is, and no change of it is missed."""

import numpy as np
import pytest
from own_models import rattled, write_model
from test_frame import honeycomb, rotation_about, turned_whole

from extensive.errors import InputError
from extensive.inference import Engine, repeated
from extensive.models import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_model(tmp_path_factory.mktemp("repeated") / "model"))


def fresh(model, atoms):
    return Engine(model, "float64", threads=1).energy_and_forces(atoms)


def strained(atoms):
    atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)


def exchanged(atoms):
    atoms.numbers[:2] = 5, 7


def moved_far(atoms):
    atoms.positions[0, 0] += 2.0 * repeated.MOVED_A


def removed(atoms):
    del atoms[0]


@pytest.mark.parametrize("cells", ["rectangle", "hexagon in space"])
@pytest.mark.parametrize("change", [strained, exchanged, moved_far, removed], ids=lambda change: change.__name__)
def test_what_is_kept_of_a_structure_changes_no_energy(model, cells, change):
    atoms = rattled()
    if cells != "rectangle":
        atoms = turned_whole(honeycomb([[3, 0], [0, 3]]), rotation_about([1, 2, 3], 40.0))
    engine, rng = Engine(model, "float64", threads=1), np.random.default_rng(0)
    for step in range(4):
        energy, forces = engine.energy_and_forces(atoms)
        expected, of_new = fresh(model, atoms)
        assert energy == pytest.approx(expected, rel=1e-12)
        assert engine.energy(atoms) == pytest.approx(expected, rel=1e-12)
        assert forces == pytest.approx(of_new, abs=1e-9)
        in_cell = rng.standard_normal((len(atoms), 2)) @ atoms.cell.array[:2]
        atoms.positions += 0.02 * in_cell / np.linalg.norm(in_cell, axis=1)[:, None]
        if step == 1:
            change(atoms)


def test_the_grid_is_looked_for_once_while_atoms_move_little(model, monkeypatch):
    asked = []
    grid_of = type(model).grid_of
    monkeypatch.setattr(type(model), "grid_of", lambda *given: asked.append(1) or grid_of(*given))
    engine, atoms = Engine(model, "float32", threads=1), rattled()
    for _ in range(5):
        atoms.positions[:, :2] += 0.01
        engine.energy(atoms)
    assert len(asked) == 1
    atoms.positions[0, 0] += repeated.MOVED_A
    engine.energy(atoms)
    assert len(asked) == 2


def test_a_sheet_that_buckles_or_breaks_later_is_still_refused(model):
    engine, atoms = Engine(model, "float32", threads=1), rattled()
    engine.energy(atoms)
    raised = atoms.copy()
    raised.positions[0, 2] += 0.099
    raised.positions[1, 2] -= 0.05
    with pytest.raises(InputError, match="flat"):
        engine.energy(raised)
    broken = atoms.copy()
    broken.positions[0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        engine.energy(broken)
