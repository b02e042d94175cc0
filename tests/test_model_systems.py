"""Lennard-Jones dimers and Ising lattices: ranges, seeds, known energies, the Boltzmann distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extensive import keys
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.structures.dimers import generate_dimers
from extensive.structures.ising import generate_ising, ising_energy, metropolis
from extensive.training.ising import IsingSettings, train_ising

# Dimers


@pytest.mark.parametrize("dimensions", [2, 3])
def test_dimers_cover_separations_and_stay_within_the_margins(dimensions):
    config = complete_config({"structures": {"dimers": {"dimer-d": {"dimensions": dimensions, "count": 200}}}})
    spec = config["structures"]["dimers"]["dimer-d"]
    dimers = generate_dimers("d", spec, 3)
    separations = np.array([atoms.info["separation_A"] for atoms in dimers])
    low, high = spec["separation_A"]
    assert (np.histogram(separations, bins=4, range=(low, high))[0] > 25).all()
    for atoms in dimers:
        place = atoms.positions[:, :dimensions]
        assert place.min() >= spec["margin_A"] - 1e-6
        assert place.max() <= spec["box_A"] - spec["margin_A"] + 1e-6
        assert atoms.get_distance(0, 1) == pytest.approx(atoms.info["separation_A"], abs=1e-6)
        assert atoms.info[keys.FAMILY] == "dimer"
    again = generate_dimers("d", {**spec, "count": 5}, 3)
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(dimers, again, strict=False))


def test_a_dimer_that_does_not_fit_is_refused():
    config = complete_config({"structures": {"dimers": {"dimer-d": {"dimensions": 2, "count": 1, "box_A": 6.0}}}})
    with pytest.raises(InputError, match=r"separation_A.*box_A 6"):
        generate_dimers("d", config["structures"]["dimers"]["dimer-d"], 1)


# Ising


def test_ising_energies_of_known_lattices():
    up = np.ones((8, 8), dtype=np.int8)
    checkerboard = np.where(np.indices((8, 8)).sum(axis=0) % 2, 1, -1).astype(np.int8)
    one_flipped = up.copy()
    one_flipped[3, 4] = -1
    stripes = up.copy()
    stripes[:4] = -1
    energies = ising_energy(np.stack([up, -up, checkerboard, one_flipped, stripes]))
    np.testing.assert_array_equal(energies, [-128, -128, 128, -120, -128 + 2 * 2 * 8])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_ising_energy_is_extensive(seed):
    """A periodic lattice repeated along an axis has exactly twice the energy."""
    spins = np.random.default_rng(seed).integers(0, 2, (3, 6, 6), dtype=np.int8) * 2 - 1
    for axis in (1, 2):
        np.testing.assert_array_equal(ising_energy(np.concatenate([spins, spins], axis=axis)), 2 * ising_energy(spins))


def test_metropolis_samples_the_boltzmann_distribution():
    """Mean energy of the 4 x 4 lattice against the sum over all 65,536 states."""
    states = np.unpackbits(np.arange(2**16, dtype=">u2").view(np.uint8).reshape(-1, 2), axis=1)
    energies = ising_energy(states.reshape(-1, 4, 4).astype(np.int8) * 2 - 1)
    for temperature in (1.8, 2.5, 4.0):
        weights = np.exp(-(energies - energies.min()) / temperature)
        exact = (weights * energies).sum() / weights.sum()
        spread = np.sqrt((weights * energies**2).sum() / weights.sum() - exact**2)
        start = np.ones((4000, 4, 4), dtype=np.int8)
        made = metropolis(start, np.full(4000, temperature), 200, np.random.default_rng(5))
        assert abs(ising_energy(made).mean() - exact) < 4 * spread / np.sqrt(4000)


def test_ising_data_set_is_extendable_and_wide():
    spec = {"length": 8, "samples": 600, "sweeps": 30, "temperatures": [1.0, 4.0]}
    made = generate_ising(spec, 1)
    assert made["spins"].shape == (600, 8, 8)
    assert set(np.unique(made["spins"])) == {-1, 1}
    np.testing.assert_array_equal(made["energies"], ising_energy(made["spins"]))
    few = generate_ising({**spec, "samples": 50}, 1)
    np.testing.assert_array_equal(few["spins"], made["spins"][:50])
    assert made["energies"].min() == -128
    assert made["energies"].max() > 0
    assert np.isinf(made["temperatures"]).sum() == 75
    with pytest.raises(InputError, match="even"):
        generate_ising({**spec, "length": 7}, 1)


def ising_network(tmp_path, side, energies, **changes):
    spins = np.ones((len(energies), side, side), dtype=np.int8)
    settings = IsingSettings(**{"length": side, "steps": 2, "batch_size": 2, **changes})
    path = tmp_path / "ising"
    return train_ising({"spins": spins, "energies": np.array(energies)}, settings, 0, path, tmp_path / "curve.csv")


@pytest.mark.parametrize(
    ("side", "count", "focus", "words"),
    [
        (2, 9, 4, "focus_px: 4; lattices of side 2 are no whole number of such tiles"),
        (10, 9, 4, "focus_px: 4; lattices of side 10"),
        (8, 1, 4, "1 lattices of side 8; 1 is held back, and training needs 2 others or more"),
        (8, 2, 4, "2 lattices of side 8"),
    ],
)
def test_lattices_that_nothing_can_be_learned_from_are_refused(tmp_path, side, count, focus, words):
    with pytest.raises(InputError, match=words):
        ising_network(tmp_path, side, [-128.0] * count, focus_px=focus)
    assert not list(tmp_path.iterdir())


def test_lattices_of_one_energy_leave_finite_weights(tmp_path):
    potential = ising_network(tmp_path, 8, [-128.0] * 3)
    assert all(parameter.isfinite().all() for parameter in potential.network.parameters())
