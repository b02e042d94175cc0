"""The grid and the k-points of a label: cells of all sizes and shapes are sampled alike, without GPAW."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from spring_labels import EVERY_KPOINT, FEWEST_KPOINTS, PRODUCTION, sheet

from extensive import keys
from extensive.errors import InputError
from extensive.reference.sampling import determining, grid_shape, kpoint_list
from extensive.reference.settings import check_sheet, label_digest, with_vacuum
from extensive.structures import lattices

DENSE = replace(EVERY_KPOINT, kpoints=(4, 4))

# --- equal sampling of cells of all sizes


@pytest.mark.parametrize(
    ("cells", "along_x", "along_y"),
    [
        ((5, 3), {0.25, -0.25}, {0.25, -0.25}),
        ((10, 3), {0.5}, {0.25, -0.25}),
        ((5, 6), {0.25, -0.25}, {0.5}),
        ((10, 6), {0.5}, {0.5}),
        ((15, 6), {0.25, -0.25}, {0.5}),
        ((20, 12), {0.0}, {0.0}),
    ],
)
def test_kpoints_of_supercells_are_folded(cells, along_x, along_y):
    kpoints = kpoint_list(sheet(*cells), EVERY_KPOINT)
    assert set(kpoints[:, 0]) == along_x
    assert set(kpoints[:, 1]) == along_y
    assert len(kpoints) == len(along_x) * len(along_y)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((5, 3), {(0.25, 0.25)}),  # time reversal adds (-1/4, -1/4); the other two are their mirror images
        ((10, 3), {(0.5, 0.25), (0.5, -0.25)}),  # points that are their own images, all kept
        ((10, 6), {(0.5, 0.5)}),
    ],
)
def test_one_kpoint_stands_for_its_mirror_images(cells, expected):
    points = kpoint_list(sheet(*cells), FEWEST_KPOINTS)
    assert {(x, y) for x, y, _ in points.tolist()} == expected


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 3), (5, 3), (7, 4), (15, 6)])
def test_mirror_images_of_the_kept_points_are_the_whole_set(cells):
    """What is left out is exactly what the two mirrors and time reversal bring back, each as often."""
    everything = kpoint_list(sheet(*cells), EVERY_KPOINT)[:, :2]
    kept = kpoint_list(sheet(*cells), FEWEST_KPOINTS)[:, :2]
    if len(kept) == len(everything):
        np.testing.assert_array_equal(kept, everything)
    else:
        images = np.concatenate([kept * signs for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
        np.testing.assert_allclose(np.sort(images, axis=0), np.sort(everything, axis=0))
        assert len(np.unique(images.round(9), axis=0)) == len(everything)


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 3), (5, 3), (10, 3), (10, 6), (15, 6), (20, 12)])
def test_folded_points_are_the_unit_cells_own(cells):
    """Every point of the supercell comes from as many points of the 4-atom cell: the same states are sampled."""
    unit = kpoint_list(sheet(1, 1), EVERY_KPOINT)
    assert len(unit) == 10 * 6
    folded = (unit[:, :2] * cells) % 1.0
    points = kpoint_list(sheet(*cells), EVERY_KPOINT)[:, :2] % 1.0
    distance = np.abs(folded[:, None] - points[None])
    nearest = np.minimum(distance, 1 - distance).max(axis=2)
    assert (nearest.min(axis=1) < 1e-9).all()
    counts = (nearest < 1e-9).sum(axis=0)
    assert (counts == len(unit) // len(points)).all()


def test_cells_without_exact_folding_keep_an_even_density():
    for nx, ny in ((7, 4), (3, 5), (9, 7)):
        kpoints = kpoint_list(sheet(nx, ny), EVERY_KPOINT)
        counts = [len(set(kpoints[:, axis])) for axis in (0, 1)]
        assert abs(counts[0] - 10 / nx) <= 2
        assert abs(counts[1] - 6 / ny) <= 2


def test_grid_is_proportional_and_unchanged_by_strain():
    assert grid_shape(sheet(5, 3), PRODUCTION) == (120, 120, 48)
    assert grid_shape(sheet(10, 6), PRODUCTION) == (240, 240, 48)
    strained = sheet(5, 3)
    strained.set_cell(strained.cell.array * [[1.03], [0.97], [1.0]], scale_atoms=True)
    assert grid_shape(strained, PRODUCTION) == (120, 120, 48)
    own = sheet(5, 3)
    del own.info[keys.SUPERCELL]
    assert grid_shape(own, PRODUCTION) == (120, 120, 48)
    assert len(kpoint_list(own, FEWEST_KPOINTS)) == 1


def test_a_sheet_that_moves_out_of_its_plane_keeps_cell_grid_and_middle():
    """So that the energy of a step differs from the last by what the atoms did, and not by the grid they lie on."""
    flat = sheet(2, 1)
    cells, grids, rng = set(), set(), np.random.default_rng(1)
    for _ in range(5):
        rippled = flat.copy()
        heights = rng.uniform(-0.2, 0.2, len(rippled))
        rippled.positions[:, 2] += heights - heights.mean()
        prepared = with_vacuum(rippled, PRODUCTION)
        cells.add(prepared.cell.lengths()[2])
        grids.add(grid_shape(rippled, PRODUCTION))
        assert prepared.positions[:, 2].mean() == pytest.approx(prepared.cell.lengths()[2] / 2)
        assert prepared.positions[:, 2].min() >= PRODUCTION.vacuum_A
    assert (len(cells), len(grids)) == (1, 1)
    (points,) = {grid[2] for grid in grids}
    assert cells.pop() / points == pytest.approx(2 * PRODUCTION.vacuum_A / grid_shape(flat, PRODUCTION)[2])


def test_the_sheet_is_centred_in_the_settings_vacuum():
    prepared = with_vacuum(sheet(1, 1, height=30.0), PRODUCTION)
    assert prepared.cell[2, 2] == pytest.approx(2 * PRODUCTION.vacuum_A)
    assert np.allclose(prepared.positions[:, 2], PRODUCTION.vacuum_A)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda atoms: atoms.set_pbc(True), "pbc"),
        (lambda atoms: atoms.set_cell([[3, 0, 1], [0, 4, 0], [0, 0, 9]]), "leaves the x-y plane"),
        (lambda atoms: atoms.set_cell([[3, 0, 0], [6, 0, 0], [0, 0, 9]]), "no area"),
        (lambda atoms: atoms.positions.__setitem__((0, 0), np.nan), "not numbers"),
        (lambda atoms: atoms.__delitem__(slice(None)), "no atoms"),
    ],
)
def test_what_is_not_a_sheet_is_refused_by_name(change, message):
    atoms = sheet(1, 1)
    change(atoms)
    with pytest.raises(InputError, match=f"graphene-rattle-00000.*{message}"):
        check_sheet(atoms)


def of_shape(cell, supercell, strain=0.0, fill=lattices.graphene):
    """A pristine sheet in a cell of this shape, along x, all its lengths strained."""
    atoms = lattices.laid_along_x(fill(supercell, lattices.LATTICE_CONSTANTS_A[fill.__name__], cell))
    atoms.info[keys.SUPERCELL] = np.array(supercell)
    atoms.set_cell(atoms.cell.array * [[1 + strain], [1 + strain], [1.0]], scale_atoms=True)
    return atoms


@pytest.mark.parametrize("degrees", [60, 120])
def test_cells_of_other_shapes_are_sampled_as_densely(degrees):
    """A hexagonal cell of about the area of 60 atoms has about the k-points and the grid of the rectangular one."""
    angle = np.radians(degrees)
    hexagonal = Atoms("C", [[0, 0, 0]], pbc=(True, True, False))
    hexagonal.set_cell([[13.53, 0, 0], [13.53 * np.cos(angle), 13.53 * np.sin(angle), 0], [0, 0, 9]])
    rectangular = sheet(5, 3)
    kpoints, grid = kpoint_list(hexagonal, DENSE), grid_shape(hexagonal, DENSE)
    assert len(kpoints) == len(kpoint_list(rectangular, DENSE)) == 16
    # Every point and its opposite: time reversal leaves half.
    assert {tuple(k) for k in np.round(kpoints, 6)} == {tuple(k) for k in np.round(-kpoints, 6)}
    spacing = 13.53 / np.array(grid[:2])
    per_cell = rectangular.cell.lengths()[:2] / grid_shape(rectangular, DENSE)[:2]
    assert spacing == pytest.approx([per_cell.mean()] * 2, rel=0.03)


@pytest.mark.parametrize("strain", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("fill", [lattices.graphene, lattices.hbn])
@pytest.mark.parametrize(
    ("cell", "supercell", "points"),
    [("hexagonal", (4, 4), (94, 96)), ("hexagonal", (5, 5), (118, 120)), ({"chiral": [2, 1]}, (2, 2), (126, 126))],
)
def test_perfect_sheets_of_all_shapes_have_grids_on_which_their_energies_agree(cell, supercell, points, fill, strain):
    """Whatever the lattice constant and strain. DFT agreed to 0.1 meV/atom there, in one of the cells to 0.2."""
    atoms = of_shape(cell, supercell, strain, fill)
    assert grid_shape(atoms, PRODUCTION)[:2] == points


def test_grids_of_cells_whose_size_is_not_stated_follow_their_lengths():
    small, large = of_shape("hexagonal", (5, 5)), of_shape("hexagonal", (5, 5), 0.1)
    for atoms in (small, large):
        del atoms.info[keys.SUPERCELL]
    assert grid_shape(small, PRODUCTION)[:2] == (118, 120)
    assert grid_shape(large, PRODUCTION)[:2] == (130, 132)


def test_only_labels_of_cells_that_are_not_rectangular_depend_on_the_choice_of_their_grid():
    assert determining(sheet(5, 3), PRODUCTION) == PRODUCTION.physical()
    assert set(determining(of_shape("hexagonal", (2, 2)), PRODUCTION)) - set(PRODUCTION.physical()) == {
        "oblique_density"
    }


def strained(nx, ny, strain):
    atoms = sheet(nx, ny)
    atoms.set_cell(atoms.cell.array * [[1 + strain], [1 + strain], [1.0]], scale_atoms=True)
    return atoms


@pytest.mark.parametrize(
    ("cells", "strain", "alike"), [((5, 3), 0.0, True), ((5, 3), 0.02, False), ((8, 3), 0.0, False)]
)
def test_a_sheet_that_does_not_state_its_cells_has_another_digest_only_if_it_is_sampled_otherwise(cells, strain, alike):
    stated = strained(*cells, strain)
    bare = stated.copy()
    del bare.info[keys.SUPERCELL]
    sampled = [(grid_shape(atoms, DENSE), sorted(kpoint_list(atoms, DENSE).tolist())) for atoms in (stated, bare)]
    assert (sampled[0] == sampled[1]) is alike
    digests = {label_digest(atoms, determining(atoms, DENSE), "26.7.0") for atoms in (stated, bare)}
    assert (len(digests) == 1) is alike
    assert determining(stated, DENSE) == DENSE.physical()


@pytest.mark.parametrize("other", [[1, 1], [5, 3, 1], "5x3", [2.5, 1.5]])
def test_a_supercell_that_cannot_be_one_of_four_atom_cells_is_not_taken_for_it(other):
    meant, misread = sheet(5, 3), sheet(5, 3)
    misread.info[keys.SUPERCELL] = other if isinstance(other, str) else np.array(other)
    assert grid_shape(misread, PRODUCTION) == grid_shape(meant, PRODUCTION)
    assert len(kpoint_list(misread, EVERY_KPOINT)) == len(kpoint_list(meant, EVERY_KPOINT))


@pytest.mark.parametrize("other", [[5, 5, 1], "5x5", [2.5, 2.5]])
def test_such_a_supercell_of_a_hexagonal_cell_is_as_good_as_none(other):
    bare, misread = of_shape("hexagonal", (5, 5)), of_shape("hexagonal", (5, 5))
    del bare.info[keys.SUPERCELL]
    misread.info[keys.SUPERCELL] = other if isinstance(other, str) else np.array(other)
    assert grid_shape(misread, PRODUCTION) == grid_shape(bare, PRODUCTION)
    assert determining(misread, PRODUCTION) == determining(bare, PRODUCTION)
