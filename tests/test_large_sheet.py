"""The sheet of a square micrometre, made in bands: every atom once, sound across blocks and bands."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from honeycombs import minimum_distance, ring_sizes

from extensive.errors import InputError
from extensive.structures import pores
from extensive.structures.lattices import bonds
from extensive.structures.sheet import PorousSheet, square_micrometre_sheet

BOND_CUTOFF_A = 1.8


def test_square_micrometre_sheet_has_the_papers_size():
    sheet = square_micrometre_sheet()
    assert sheet.n_atoms >= 35_200_000
    assert sheet.density == pytest.approx(0.922, abs=5e-4)
    assert 1e8 <= sheet.area_A2 < 1.005e8


def sorted_rows(positions):
    return positions[np.lexsort(positions.T)]


@pytest.mark.parametrize("displacement", [0.0, 0.05])
def test_bands_hold_every_atom_once(displacement):
    sheet = PorousSheet((4, 5), seed=2, displacement_A=displacement)
    whole = sheet.whole()
    assert len(whole) == sheet.n_atoms
    assert (whole.positions[:, 0] >= 0).all()
    assert (whole.positions[:, 0] < sheet.cell[0]).all()
    edges = np.append(np.arange(0, sheet.cell[1], 7.3), sheet.cell[1])
    # Asked for backwards: a band does not depend on what was made before it.
    fresh = PorousSheet((4, 5), seed=2, displacement_A=displacement)
    bands = [fresh.atoms_between(*pair) for pair in list(pairwise(edges))[::-1]]
    union = np.concatenate([positions for positions, _ in bands])
    np.testing.assert_array_equal(sorted_rows(union), sorted_rows(whole.positions[:, :2]))
    assert all((numbers == 6).all() for _, numbers in bands)
    assert sheet.fingerprint == fresh.fingerprint
    assert sheet.fingerprint != PorousSheet((4, 5), seed=3, displacement_A=displacement).fingerprint


def test_bands_beyond_the_cell_are_periodic_images():
    sheet = PorousSheet((3, 3), seed=1, displacement_A=0.05)
    below, _ = sheet.atoms_between(-5.0, 0.0)
    top, _ = sheet.atoms_between(sheet.cell[1] - 5.0, sheet.cell[1])
    np.testing.assert_allclose(sorted_rows(below), sorted_rows(top - (0.0, sheet.cell[1])), atol=1e-9)


def test_porous_sheet_is_one_sound_piece_across_blocks():
    sheet = PorousSheet((4, 3), seed=7)
    atoms = sheet.whole()
    assert len(pores.prune(atoms, BOND_CUTOFF_A)) == len(atoms)
    rings = Counter(ring_sizes(*bonds(atoms, BOND_CUTOFF_A)))
    assert sum(count for size, count in rings.items() if size > 6) == 12  # one pore for each block
    assert min(rings) == 6
    assert minimum_distance(PorousSheet((4, 3), seed=7, displacement_A=0.05).whole()) > 1.05


def test_sheet_refuses_what_it_cannot_make():
    with pytest.raises(InputError, match="blocks"):
        PorousSheet((0, 3))
    with pytest.raises(InputError, match=r"displacement_A.*0\.15"):
        PorousSheet((2, 3), displacement_A=0.4)
