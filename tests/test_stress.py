"""Stress: the exact derivative of the energy at a fixed number of pixels, in the user's axes."""

import numpy as np
import pytest
import torch
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from own_models import CNN, rattled, write_model
from test_frame import honeycomb, rotation_about, turned_whole

from extensive import Calculator
from extensive.errors import InputError
from extensive.models import load_model
from extensive.models.stress import logarithm, strain_gradient, strained_energy
from extensive.structures.lattices import graphene

SHEETS = [rattled(), honeycomb([[4, 0], [0, 4]]), honeycomb([[3, 1], [-1, 4]])]
PLANE = [(0, 0), (1, 1), (0, 1)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "upright", exchange=False)


@pytest.mark.parametrize("sheet", SHEETS, ids=["rectangular", "hexagonal", "chiral"])
def test_stress_is_the_derivative_at_fixed_pixels(model, sheet):
    potential = load_model(model).to(torch.float64)
    placed, step = potential.lay(sheet), 1e-5
    still = strained_energy(potential, placed, torch.zeros(2, 2, dtype=torch.float64)).item()
    assert still / placed.copies == pytest.approx(potential.energies([sheet])[0], abs=1e-4)
    gradient = strain_gradient(potential, placed)
    for i, j in PLANE:
        strain = torch.zeros(2, 2, dtype=torch.float64)
        strain[i, j] += step / 2
        strain[j, i] += step / 2
        with torch.no_grad():
            ends = [strained_energy(potential, placed, sign * strain).item() for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step) / placed.copies
        assert gradient[i, j] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert np.abs(gradient).max() > 0.1


def test_stress_of_the_calculator_is_that_of_strained_cells(model):
    """Strains along x and y keep a rectangle, and small ones its number of pixels."""
    sheet = rattled()
    sheet.calc = Calculator(model, device="cpu", dtype="float64")
    stress, step = sheet.get_stress(), 1e-4
    for axis in range(2):
        ends = []
        for sign in (1, -1):
            strained = sheet.copy()
            factor = np.ones(3)
            factor[axis] += sign * step
            strained.set_cell(sheet.cell.array * factor, scale_atoms=True)
            strained.calc = sheet.calc
            ends.append(strained.get_potential_energy())
        assert stress[axis] == pytest.approx((ends[0] - ends[1]) / (2 * step) / sheet.get_volume(), rel=1e-3, abs=1e-6)
    assert not stress[[2, 3, 4]].any()


@pytest.mark.parametrize("symmetric", [False, True])
def test_stress_turns_with_the_sheet(model, symmetric):
    sheet = honeycomb([[3, 1], [-1, 4]])
    rotation = rotation_about((1, 2, -1), 25.0)
    rotated = turned_whole(sheet, rotation)
    stresses = []
    for atoms in (sheet, rotated):
        atoms.calc = Calculator(model, device="cpu", dtype="float64", symmetric=symmetric)
        stresses.append(atoms.get_stress(voigt=False))
    np.testing.assert_allclose(stresses[1], rotation @ stresses[0] @ rotation.T, atol=1e-8)
    # What was calculated before stays with the structure.
    assert rotated.get_forces() is not None
    assert set(rotated.calc.results) == {"energy", "free_energy", "forces", "stress"}


def test_the_logarithm_is_smooth_where_pixels_are_square():
    rng = np.random.default_rng(0)
    for size in (0.0, 1e-9, 0.05):
        root = np.eye(2) * 0.9 + size * rng.standard_normal((2, 2))
        squares = torch.tensor(root.T @ root, requires_grad=True)
        values, vectors = np.linalg.eigh(squares.detach().numpy())
        expected = vectors @ np.diag(np.log(values)) @ vectors.T
        found = logarithm(squares)
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-10)
        (gradient,) = torch.autograd.grad(found.sum(), squares)
        assert torch.isfinite(gradient).all()


def test_what_has_no_stress_says_so(model, tmp_path):
    flat = rattled()
    flat.cell[2] = 0.0
    with pytest.raises(InputError, match="no stress without a volume"):
        Calculator(model, device="cpu").get_property("stress", flat)
    with pytest.raises(InputError, match="tiles are not convolutional"):
        Calculator(write_model(tmp_path / "cnn", CNN), device="cpu").get_property("stress", rattled())


@pytest.mark.medium
@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_a_cell_relaxes_in_its_plane(turn):
    """Graphene by the published network, from a strained cell to its own lattice constant."""
    sheet = graphene((5, 3))
    sheet.set_cell(sheet.cell.array * [1.01, 1.005, 1.0], scale_atoms=True)
    sheet = turned_whole(sheet, rotation_about((0, 0, 1), turn))
    sheet.calc = Calculator("ednn", device="cpu", dtype="float64")
    mask = [True, True, False, False, False, True]
    BFGS(FrechetCellFilter(sheet, mask=mask), logfile=None).run(fmax=0.02, steps=40)
    lengths = sheet.cell.lengths()[:2] / [5, 3 * np.sqrt(3.0)]
    # The lattice constant of the labels, whichever these are, and alike along x and y.
    assert lengths == pytest.approx(np.full(2, 2.47), abs=0.03)
    assert lengths[0] == pytest.approx(lengths[1], abs=0.002)
    assert np.abs(sheet.get_stress()[[0, 1, 5]]).max() < 2e-3
    assert sheet.cell.lengths()[2] == pytest.approx(10.0)
