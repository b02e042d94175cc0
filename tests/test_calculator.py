"""The calculator: an exact, conservative potential for ASE that refuses what its network cannot know."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import Trajectory, read
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from own_models import CNN, rattled, write_model

from extensive import Calculator
from extensive.errors import InputError
from extensive.inference.calculator import find_model
from extensive.models import load_model
from extensive.structures.frame import bonds


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    return [write_model(folder / f"member-{seed}", seed=seed) for seed in range(3)]


@pytest.mark.medium
def test_importing_the_package_does_not_import_torch():
    code = (
        "import sys, extensive; assert 'torch' not in sys.modules; extensive.Calculator; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suffix", ["", ".pt", ".json"])
def test_energy_and_forces_are_the_model_s(model, suffix):
    atoms = rattled()
    atoms.calc = Calculator(str(model) + suffix, device="cpu")
    energies, forces = load_model(model).energies_and_forces([atoms])
    assert atoms.get_potential_energy() == pytest.approx(energies[0], abs=1e-6)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    # In float32 the engine, which adds in another order, is as near as rounding lets it be.
    np.testing.assert_allclose(atoms.get_forces(), forces[0], atol=1e-5)
    atoms.calc = Calculator(str(model) + suffix, device="cpu", dtype="float64")
    _, forces = load_model(model).double().energies_and_forces([atoms])
    np.testing.assert_allclose(atoms.get_forces(), forces[0], atol=1e-6)
    assert not atoms.get_forces()[:, 2].any()


def test_forces_are_the_gradient_of_the_energy(model):
    atoms = rattled()
    atoms.calc = Calculator(model, device="cpu", dtype="float64")
    force, step = atoms.get_forces()[5, 1], 1e-4
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[5, 1] += sign * step
        ends.append(moved.get_potential_energy())
    assert force == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-7)
    assert abs(force) > 1e-4


@pytest.mark.medium
def test_total_energy_is_conserved(model):
    atoms = rattled()
    atoms.calc = Calculator(model, device="cpu", dtype="float64")
    velocities = np.zeros((len(atoms), 3))
    velocities[:, :2] = 0.01 * np.random.default_rng(1).standard_normal((len(atoms), 2))
    atoms.set_velocities(velocities)
    before, kinetic = atoms.get_total_energy(), atoms.get_kinetic_energy()
    VelocityVerlet(atoms, 0.5 * units.fs).run(60)
    exchanged = abs(atoms.get_kinetic_energy() - kinetic)
    assert exchanged > 1e-5
    assert abs(atoms.get_total_energy() - before) < 0.02 * exchanged


def test_an_optimizer_goes_down(model):
    atoms = rattled()
    atoms.calc = Calculator(model, device="cpu", dtype="float64")
    before = atoms.get_potential_energy()
    BFGS(atoms, logfile=None, maxstep=0.02).run(fmax=1e-3, steps=8)
    assert atoms.get_potential_energy() < before


@pytest.mark.medium
def test_ase_gui_shows_energies_and_forces_of_a_trajectory(model, tmp_path):
    atoms = rattled()
    atoms.calc = Calculator(model, device="cpu")
    wanted = []
    with Trajectory(tmp_path / "run.traj", "w", atoms) as trajectory:
        for step in range(3):
            atoms.positions[0, 0] += 0.02 * step
            wanted.append([atoms.get_potential_energy(), np.linalg.norm(atoms.get_forces(), axis=1).max()])
            trajectory.write()
    found = read(tmp_path / "run.traj")
    assert found.get_potential_energy() == atoms.get_potential_energy()
    np.testing.assert_array_equal(found.get_forces(), atoms.get_forces())
    # What its window would plot, without one.
    command = [sys.executable, "-m", "ase", "gui", "--terminal", "--graph", "i,e,fmax", "run.traj"]
    shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    numbers = np.array([line.split() for line in shown.splitlines() if line and line[0] != "#"], dtype=float)
    np.testing.assert_allclose(numbers.reshape(3, 3)[:, 1:], wanted, rtol=1e-4)


def test_a_larger_sheet_is_the_sum_of_its_parts(model):
    """Whole pixels, so that the repeated cell has the same pixels: extensive to rounding."""
    atoms = rattled()
    atoms.set_cell([7.2, 8.8, 10.0], scale_atoms=True)
    calculator = Calculator(model, device="cpu", dtype="float64")
    single = calculator.get_potential_energy(atoms)
    assert calculator.get_potential_energy(atoms.repeat((3, 2, 1))) == pytest.approx(6 * single, abs=1e-8)


def test_uncertainty_is_the_spread_of_the_ensemble(ensemble):
    atoms = rattled()
    calculator = Calculator(ensemble, device="cpu")
    singles = []
    for member in ensemble:
        alone = rattled()
        alone.calc = Calculator(member, device="cpu")
        singles.append(alone.get_potential_energy())
    assert calculator.get_potential_energy(atoms) == pytest.approx(np.mean(singles))
    found = calculator.uncertainty()
    assert found["energy"] == pytest.approx(np.std(singles, ddof=1))
    assert found["energy"] > 0
    assert found["energy_per_atom"] == pytest.approx(found["energy"] / len(atoms))
    assert found["forces"].shape == (len(atoms), 3)
    assert not found["forces"][:, 2].any()


def buckled(atoms):
    atoms.positions[0, 2] += 0.5


def strained(atoms):
    atoms.set_cell(atoms.cell.array * 1.08, scale_atoms=True)


def overlapping(atoms):
    atoms.positions[1] = atoms.positions[0] + [0.1, 0, 0]


def close(atoms):
    atoms.positions[1] = atoms.positions[0] + [0.9, 0, 0]


def isolated(atoms):
    atoms.pbc = False


def foreign(atoms):
    atoms.numbers[3] = 14


def not_numbers(atoms):
    atoms.positions[2, 0] = np.nan


def tiny(atoms):
    del atoms[1:]
    atoms.set_cell([1.15, 1.15, 10.0])


REFUSED = {
    buckled: "flat sheets only",
    strained: "mean bond is 1.5",
    overlapping: "overlap",
    close: "in training none were nearer",
    isolated: "must be periodic along two axes",
    foreign: "element Si is unknown to the model, which knows",
    not_numbers: "must be finite",
    tiny: "the mean bond is 1.1",
}


@pytest.mark.parametrize(("change", "message"), REFUSED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_the_network_cannot_know_is_refused_in_one_line(model, change, message):
    atoms = rattled()
    change(atoms)
    with pytest.raises(InputError, match=message) as caught:
        Calculator(model, device="cpu").get_potential_energy(atoms)
    assert "\n" not in str(caught.value)


def quarter_turned(atoms):
    """The same sheet rotated by 90 degrees, clockwise."""
    lengths = atoms.cell.lengths()
    atoms.positions[:, :2] = np.stack([atoms.positions[:, 1], lengths[0] - atoms.positions[:, 0]], axis=1)
    atoms.set_cell([lengths[1], lengths[0], lengths[2]])


def test_a_sheet_that_lies_the_other_way_is_turned_for_a_network_that_met_none(tmp_path):
    path = write_model(tmp_path / "upright", exchange=False)
    atoms, other = rattled(), rattled()
    quarter_turned(other)
    for sheet in (atoms, other):
        sheet.calc = Calculator(path, device="cpu", dtype="float64")
    # The same pixels but for the origin, which a whole cell shifts by whole pixels of whole steps only.
    step = atoms.cell.lengths()[0] / atoms.calc.potentials[0].image_shape(atoms.cell.lengths())[1]
    assert atoms.cell.lengths()[0] / step % 2 == pytest.approx(0.0)
    assert other.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    forces = atoms.get_forces()
    np.testing.assert_allclose(other.get_forces()[:, 0], forces[:, 1], atol=1e-9)
    np.testing.assert_allclose(other.get_forces()[:, 1], -forces[:, 0], atol=1e-9)
    # One that knows both is shown it as it lies.
    both = Calculator(write_model(tmp_path / "both"), device="cpu")
    assert np.isfinite(both.get_potential_energy(other))
    assert both.potentials[0].lay(other).cell == pytest.approx(other.cell.lengths()[:2])


def test_a_sheet_of_several_directions_is_refused(tmp_path):
    """Two grains: the halves of a sheet, one of them rotated by 90 degrees, which is 30 to a honeycomb."""
    atoms, other = rattled((5, 4)), rattled((7, 3))
    quarter_turned(other)
    atoms.set_cell([atoms.cell[0, 0], other.cell[1, 1], 10.0], scale_atoms=True)
    other.positions[:, 0] += atoms.cell[0, 0] + 0.8
    grains = atoms + other
    grains.set_cell([atoms.cell[0, 0] + other.cell[0, 0] + 1.6, other.cell[1, 1], 10.0])
    path = write_model(tmp_path / "upright", exchange=False)
    with pytest.raises(InputError, match="its bonds point several ways"):
        Calculator(path, device="cpu").get_potential_energy(grains)


def test_the_direction_of_bonds_is_that_of_the_honeycomb():
    atoms = rattled(amplitude_A=0.0)
    assert bonds(atoms).direction == pytest.approx(-1.0)
    assert bonds(atoms).mean == pytest.approx(1.42, abs=0.02)
    quarter_turned(atoms)
    assert bonds(atoms).direction == pytest.approx(1.0)
    # One bond across a cell's edge, at 15 degrees: cos 90 degrees.
    angle = np.deg2rad(15.0)
    pair = Atoms(
        "C2", [[9.5, 9.9, 0], [9.5 + 1.4 * np.cos(angle), 9.9 + 1.4 * np.sin(angle), 0]], cell=[10, 10, 10], pbc=True
    )
    assert bonds(pair) == pytest.approx((1.4, 1.4, 0.0), abs=1e-9)


def test_extrapolation_is_allowed_when_asked_for_but_not_nonsense(model):
    calculator = Calculator(model, device="cpu", extrapolate=True)
    atoms = rattled()
    strained(atoms)
    assert np.isfinite(calculator.get_potential_energy(atoms))
    overlapping(atoms)
    with pytest.raises(InputError, match="overlap"):
        calculator.get_potential_energy(atoms)


def test_a_cnn_takes_its_training_cells_only(tmp_path):
    calculator = Calculator(write_model(tmp_path / "cnn", CNN), device="cpu")
    assert np.isfinite(calculator.get_potential_energy(rattled()))
    with pytest.raises(InputError, match="takes one size of image"):
        calculator.get_potential_energy(rattled((6, 2)))


def test_models_that_are_none_are_refused(model, ensemble, tmp_path):
    other = write_model(tmp_path / "carbon", elements=("C",))
    for wrong, message in (
        ("no-such-model", "no such model"),
        ([], "empty list"),
        ([model, other], "know different elements"),
    ):
        with pytest.raises(InputError, match=message):
            Calculator(wrong, device="cpu")
    with pytest.raises(InputError, match="one of float32, float64"):
        Calculator(model, dtype="float16")
    with pytest.raises(InputError, match="one model has no spread"):
        Calculator(model, device="cpu").uncertainty(rattled())


def test_unknown_and_late_options_are_refused_by_name(model, tmp_path):
    with pytest.raises(InputError, match="unknown option 'extrapolat'; known: model, device, dtype, extrapolate, symm"):
        Calculator(model, device="cpu", extrapolat=True)
    atoms = rattled()
    calculator = Calculator(model, device="cpu", label="mine", directory=str(tmp_path), atoms=atoms)
    assert atoms.calc is calculator
    assert calculator.set() == {}
    with pytest.raises(
        InputError, match=r"'symmetric' cannot be changed; make another: Calculator\(..., symmetric=...\)"
    ):
        calculator.set(symmetric=True)
    with pytest.raises(InputError, match="unknown option 'symetric'"):
        calculator.set(symetric=True)


def test_published_models_without_weights_are_not_offered(model, tmp_path, monkeypatch):
    for name in ("whole.json", "whole.pt", "bare.json", "whole-rounding.json"):
        (tmp_path / name).write_bytes(model.with_suffix(Path(name).suffix).read_bytes())
    monkeypatch.setattr("extensive.inference.calculator.model_folders", lambda: [tmp_path])
    assert find_model("whole") == tmp_path / "whole"
    with pytest.raises(InputError, match=r"bare: no such model.* \(whole\)$"):
        find_model("bare")
