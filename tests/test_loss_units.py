"""What a training's numbers are divided by, where elements alone explain the energies."""

import numpy as np
import pytest
import torch
from own_models import EDNN

from extensive.models import Potential, build_model
from extensive.training.augment import Sheet
from extensive.training.data import ShapeRule
from extensive.training.scaling import fit_output, fit_units

# eV of sheets of 8 atoms: what least squares leave of energies that they explain, of ones that differ by 1e-4 eV/atom,
# and of equal ones that are not zero.
ROUNDING, SMALL, EQUAL = np.array([1.0, -2.0, 1.5]) * 1e-13, np.array([0.0, 8e-4, -8e-4]), np.array([3.0, 3.0, 3.0])


def sheets_of(energies, force=1e-10):
    rng = np.random.default_rng(0)
    cell = np.array([6.4, 6.4])
    return [
        Sheet(rng.uniform(0.0, 6.4, (8, 2)), np.full(8, 6), cell, float(energy), np.full((8, 2), force))
        for energy in energies
    ]


def scale_of(sheets, scaling):
    torch.manual_seed(0)
    potential = Potential(build_model(EDNN), {"C": 0.0})
    fit_output(potential, sheets, scaling, ShapeRule(EDNN.pixel_size_A, potential.network.multiple_px))
    return potential.energy_scale_eV


@pytest.mark.parametrize("scaling", ["rms", "minmax"])
def test_rounding_is_no_unit_and_what_is_small_is_one(scaling):
    sheets = sheets_of(ROUNDING)
    units = fit_units(sheets, scaling)
    assert (units.energy, units.forces, scale_of(sheets, scaling)) == (1.0, 1.0, 1.0)
    sheets = sheets_of(SMALL, force=1e-3)
    units = fit_units(sheets, scaling)
    assert units.energy == pytest.approx(np.ptp(SMALL) if scaling == "minmax" else np.sqrt(np.mean(SMALL**2)) / 8)
    assert units.forces == pytest.approx(1e-3)
    assert scale_of(sheets, scaling) < 0.01


def test_equal_energies_have_no_range():
    sheets = sheets_of(EQUAL + ROUNDING)
    assert fit_units(sheets, "minmax").energy == scale_of(sheets, "minmax") == 1.0
    assert fit_units(sheets, "rms").energy == pytest.approx(3.0 / 8)
