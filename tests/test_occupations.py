"""Cold smearing: electrons are kept, and the Fermi level is the one that an ordinary distribution has."""

import numpy as np
import pytest

from extensive.reference.occupations import cold_occupations, fermi_level, gaussian_occupations

KPOINTS = np.full(8, 1 / 8)


def bands(gap_eV, seed=0):
    """Energies (8, 120), eV, of 100 filled bands below a gap around 0 and 20 above."""
    random = np.random.default_rng(seed)
    filled = random.uniform(-20.0, -gap_eV / 2, (8, 100))
    empty = random.uniform(gap_eV / 2, 8.0, (8, 20))
    return np.sort(np.concatenate([filled, empty], axis=1), axis=1)


def held(energies, level, width):
    return KPOINTS @ cold_occupations((energies - level) / width).sum(axis=1)


@pytest.mark.parametrize("width", [0.05, 0.2, 0.3, 0.6])
@pytest.mark.parametrize("electrons", [90.0, 100.0, 100.5])
def test_the_level_holds_the_electrons(width, electrons):
    energies = bands(gap_eV=0.0)
    assert held(energies, fermi_level(electrons, energies, KPOINTS, width), width) == pytest.approx(
        electrons, abs=1e-10
    )


@pytest.mark.parametrize("width", [0.1, 0.2, 0.3])
def test_an_insulator_keeps_whole_occupations(width):
    energies = bands(gap_eV=6.0)
    level = fermi_level(100.0, energies, KPOINTS, width)
    occupations = cold_occupations((energies - level) / width)
    np.testing.assert_allclose(occupations[:, :100], 1.0, atol=1e-5)
    np.testing.assert_allclose(occupations[:, 100:], 0.0, atol=1e-5)


def test_the_root_at_the_filled_bands_edge_is_not_taken():
    energies, width = bands(gap_eV=5.0), 0.3
    top = energies[:, 99].max()
    levels = np.linspace(top - width, top + width, 401)
    excess = np.array([held(energies, level, width) for level in levels]) - 100.0
    assert (excess < -1e-3).any()
    assert (excess > 1e-3).any()  # so there is a root between, with occupations that are not whole
    assert fermi_level(100.0, energies, KPOINTS, width) > top + 3 * width


def test_an_ordinary_distribution_says_which_root():
    energies = bands(gap_eV=0.2, seed=1)
    level = fermi_level(98.0, energies, KPOINTS, 0.2)
    assert abs(KPOINTS @ gaussian_occupations((energies - level) / 0.2).sum(axis=1) - 98.0) < 1.0


def test_a_shift_of_all_energies_shifts_the_level():
    energies = bands(gap_eV=1.0, seed=3)
    level = fermi_level(99.0, energies, KPOINTS, 0.3)
    assert fermi_level(99.0, energies + 2.5, KPOINTS, 0.3) == pytest.approx(level + 2.5, abs=1e-9)
