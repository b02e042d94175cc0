"""Drawings of one sheet: DFT could not tell them apart, and what a network makes of them has a mean and a spread."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from own_models import EDNN, rattled, write_model

from extensive import Calculator, keys
from extensive.errors import InputError
from extensive.evaluation.predict import predict
from extensive.evaluation.tables import metrics
from extensive.images.placement import as_rectangle
from extensive.inference.shifts import (
    SHIFTS_ALONE,
    SYMMETRIES,
    WITHOUT_EXCHANGE,
    copied,
    copies_of,
    forces_back,
    knows_exchange,
    symmetries_for,
)
from extensive.keys import FORCES_COLUMN
from extensive.models import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


def by_pairs(atoms):
    atoms.calc = LennardJones(sigma=1.3, epsilon=0.1, rc=4.0, smooth=True)
    return atoms.get_potential_energy(), atoms.get_forces()


def as_atoms(placed):
    cell = np.diag([0.0, 0.0, 10.0])
    cell[:2, :2] = placed.vectors
    positions = np.column_stack([placed.positions, np.full(len(placed), 5.0)])
    return Atoms(placed.numbers, positions, cell=cell, pbc=(True, True, False))


@pytest.mark.parametrize("symmetry", sorted({*SYMMETRIES, *WITHOUT_EXCHANGE, *SHIFTS_ALONE}, key=str))
def test_a_symmetry_is_the_same_sheet(symmetry):
    sheet = rattled()
    energy, forces = by_pairs(sheet)
    copy = copied(as_rectangle(sheet), symmetry, np.diag([0.7, 0.9]))
    copy_energy, copied_forces = by_pairs(as_atoms(copy))
    assert copy_energy == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(forces_back(copied_forces, symmetry), forces, atol=1e-9)


def test_copies_differ_from_each_other_for_the_network(model):
    potential = load_model(model)
    assert len({(d.mirror, d.exchange) for d in SYMMETRIES}) == len(SYMMETRIES) == 8
    energies = potential.energies(copies_of(potential, rattled()))
    assert np.unique(energies.round(9)).size == len(SYMMETRIES)


def test_a_network_that_met_no_exchanged_sheet_is_asked_about_none(model, tmp_path):
    assert symmetries_for(load_model(model)) == SYMMETRIES
    potential = load_model(write_model(tmp_path / "upright", exchange=False))
    assert symmetries_for(potential) == WITHOUT_EXCHANGE
    copy = copies_of(potential, rattled())
    assert all(np.allclose(sheet.cell, rattled().cell.lengths()[:2]) for sheet in copy)
    assert np.unique(potential.energies(copy).round(9)).size == len(WITHOUT_EXCHANGE) == 8


@pytest.mark.parametrize(("symmetry", "both_ways"), [("mirrors", False), ("square", True)])
def test_a_network_with_symmetries_of_its_own_is_asked_about_shifts(tmp_path, symmetry, both_ways):
    config = dataclasses.replace(EDNN, symmetry=symmetry)
    potential = load_model(write_model(tmp_path / "equivariant", config, exchange=False))
    assert symmetries_for(potential) == SHIFTS_ALONE
    assert knows_exchange(potential) == both_ways
    copy = copies_of(potential, rattled())
    assert np.unique(potential.energies(copy).round(9)).size == len(SHIFTS_ALONE) == 8


def test_a_symmetric_calculator_is_the_mean_and_its_forces_the_gradient(model):
    sheet = rattled()
    sheet.calc = Calculator(model, device="cpu", dtype="float64", symmetric=True)
    potential = sheet.calc.potentials[0]
    energies = potential.energies(copies_of(potential, sheet))
    assert sheet.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-9)
    assert sheet.calc.uncertainty()["energy"] == pytest.approx(energies.std(ddof=1), abs=1e-9)
    assert sheet.calc.uncertainty()["forces"].shape == (len(sheet), 3)
    force, step = sheet.get_forces()[5, :2].copy(), 1e-4
    for axis in (0, 1):
        ends = []
        for sign in (1, -1):
            moved = sheet.copy()
            moved.calc = sheet.calc
            moved.positions[5, axis] += sign * step
            ends.append(moved.get_potential_energy())
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(force[axis], rel=1e-4, abs=1e-6)


def test_one_symmetry_of_one_model_has_no_spread(model):
    with pytest.raises(InputError, match="symmetric=True"):
        Calculator(model, device="cpu").uncertainty(rattled())


def test_shift_averages_have_a_spread(model):
    sheets = []
    for number in range(2):
        sheet = rattled()
        sheet.info |= {keys.STRUCTURE_ID: f"s-{number}", keys.FAMILY: "graphene", keys.SAMPLER: "rattle"}
        sheet.info[keys.REF_ENERGY] = -9.0 * len(sheet)
        sheet.arrays[keys.REF_FORCES] = np.zeros((len(sheet), 3))
        sheets.append(sheet)
    potential = load_model(model)
    table = predict(potential, sheets, symmetric=True)
    wanted = potential.energies(copies_of(potential, sheets[0]))
    assert table["energy_predicted_eV"][0] == pytest.approx(wanted.mean(), abs=1e-5)
    assert table["energy_std_eV"][0] == pytest.approx(wanted.std(ddof=1), abs=1e-5)
    assert metrics(table)[FORCES_COLUMN] > 0
    assert len(predict(potential, [], symmetric=True)) == 0
