"""How small a pore may be: where it is placed at random, it soon removes an atom."""

import itertools

import numpy as np
import pytest
from bad_input_cases import dataset

from extensive.errors import InputError
from extensive.structures import lattices, pores
from extensive.structures.cells import periodic_offset

BOND_A = lattices.bond_length(lattices.LATTICE_CONSTANTS_A["graphene"])


@pytest.mark.parametrize("shape", pores.SHAPES)
@pytest.mark.parametrize("rotated", [False, True])
def test_the_least_pore_removes_an_atom_at_most_places(shape, rotated):
    sheet = lattices.graphene((4, 3))
    vectors, radius = lattices.plane(sheet), pores.least_radius(BOND_A)
    places = np.array(list(itertools.product(np.linspace(0.0, 1.0, 30, endpoint=False), repeat=2)))
    # All within one cell of four atoms: the others repeat it.
    offsets = [periodic_offset(sheet.positions[:, :2], place / (4, 3) @ vectors, vectors) for place in places]
    met = [pores.inside_pore(shape, offset, radius, rotated).any() for offset in offsets]
    assert 0.5 < np.mean(met) < 0.7


def test_the_least_radius_is_half_a_bond_and_said(tmp_path):
    least = pores.least_radius(BOND_A)
    assert least == pytest.approx(BOND_A / 2, abs=0.005)
    dataset(family="porous", pore_radius_A=[least, 1.0])(tmp_path)
    with pytest.raises(InputError, match=rf"pore_radius_A: \[0.7, 1.0\] .*at least {least}$"):
        dataset(family="porous", pore_radius_A=[0.7, 1.0])(tmp_path)


def test_a_cell_without_room_for_the_least_pore_says_so_at_once(tmp_path):
    with pytest.raises(InputError, match=r"at most 0.1\d, and a pore takes 0.71: take a larger supercell"):
        dataset(family="porous", cell="hexagonal", supercell=[1, 1])(tmp_path)


def test_other_families_may_leave_the_radius_at_anything(tmp_path):
    dataset(family="graphene", pore_radius_A=[0, 0])(tmp_path)
