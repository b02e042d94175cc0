"""One sheet in any description: its energy, and its forces in the axes of whoever asks, are the same."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from own_models import EDNN, rattled, write_model

from extensive import Calculator
from extensive.errors import InputError
from extensive.images.placement import choose_grid, distortion_of, place
from extensive.structures.frame import FLAT_TOLERANCE_A, LEAST_GAP_A, RIGHT_ANGLE, check_no_chain, frame_of
from extensive.structures.lattices import LATTICE_CONSTANTS_A

A = LATTICE_CONSTANTS_A["graphene"]
IDEAL = A * np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network without any symmetry of its own, which met zigzag rows along x only."""
    return write_model(tmp_path_factory.mktemp("model") / "upright", exchange=False)


def calculated(model, atoms, **options):
    atoms = atoms.copy()
    atoms.calc = Calculator(model, device="cpu", dtype="float64", **options)
    return atoms.get_potential_energy(), atoms.get_forces()


def honeycomb(cells, amplitude_A=0.03, seed=0, height=15.0, symbols=("C", "C")):
    """A rattled honeycomb whose period vectors are `cells` (2, 2) in lattice vectors; zigzag rows along x."""
    vectors = np.array(cells) @ IDEAL
    copies = round(abs(np.linalg.det(cells)))
    reach = range(-16, 17)
    corners = np.array(list(itertools.product(reach, repeat=2))) @ IDEAL
    sites = (corners[:, None] + np.array([[0.0, 0.0], [0.0, A / math.sqrt(3.0)]])).reshape(-1, 2)
    fractions = (sites + (0.3, 0.2)) @ np.linalg.inv(vectors)
    inside = ((fractions > -1e-9) & (fractions < 1 - 1e-9)).all(axis=1)
    positions = fractions[inside] @ vectors
    assert len(positions) == 2 * copies
    positions += amplitude_A * np.random.default_rng(seed).standard_normal(positions.shape)
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = vectors, height
    full = np.column_stack([positions, np.full(len(positions), height / 2)])
    return Atoms([symbols[i % 2] for i in np.flatnonzero(inside)], full, cell=cell, pbc=(True, True, True))


def turned_whole(atoms, rotation):
    """The sheet rotated in space by a rotation (3, 3)."""
    atoms = atoms.copy()
    positions = atoms.positions @ rotation.T
    atoms.set_cell(np.asarray(atoms.cell) @ rotation.T)
    atoms.positions = positions
    return atoms


def rotation_about(axis, degrees):
    axis = np.array(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = math.radians(degrees)
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def in_periodic_box(atoms):
    atoms = atoms.copy()
    atoms.cell[2, 2] = 15.0
    atoms.pbc = True
    return atoms


# --- one sheet, one grid: the same to rounding -------------------------------------------------------------------


def other_descriptions():
    def shifted_up(atoms):
        atoms.positions[:, 2] += 10.0
        atoms.positions[::2, 2] += 0.02
        atoms.wrap()
        return atoms

    def left_handed(atoms):
        atoms.set_cell(np.asarray(atoms.cell)[[1, 0, 2]])
        return atoms

    def other_vectors(atoms):
        cell = np.asarray(atoms.cell).copy()
        atoms.set_cell([cell[0], cell[1] + 2 * cell[0], cell[2]])
        return atoms

    def leaning_vacuum(atoms):
        atoms.cell[2] = [3.0, -2.0, 15.0]
        return atoms

    def vacuum_along_y(atoms):
        # (x, y, z) -> (z, x, y): a proper rotation
        atoms.set_cell(np.asarray(atoms.cell)[[1, 2, 0]][:, [1, 2, 0]])
        atoms.positions = atoms.positions[:, [1, 2, 0]]
        return atoms

    def few_digits(atoms):
        atoms.cell[1, 0] += 3e-6
        return atoms

    return [shifted_up, left_handed, other_vectors, leaning_vacuum, vacuum_along_y, few_digits]


@pytest.mark.parametrize("change", other_descriptions(), ids=lambda change: change.__name__)
def test_the_description_of_a_cell_changes_nothing(model, change):
    sheet = in_periodic_box(rattled())
    energy, forces = calculated(model, sheet)
    found, other = calculated(model, change(sheet.copy()))
    assert found == pytest.approx(energy, abs=1e-6 if change.__name__ == "few_digits" else 1e-9)
    order = [1, 2, 0] if change.__name__ == "vacuum_along_y" else [0, 1, 2]
    np.testing.assert_allclose(other, forces[:, order], atol=1e-5 if change.__name__ == "few_digits" else 1e-9)


@pytest.mark.parametrize("cells", [[[3, 0], [-2, 4]], [[4, 0], [0, 4]], [[4, 0], [-4, 4]], [[3, 1], [-1, 4]]])
@pytest.mark.parametrize(("axis", "degrees"), [((0, 0, 1), 17.0), ((0, 0, 1), -71.0), ((1, 2, -1), 50.0)])
def test_turning_the_whole_turns_the_forces(model, cells, axis, degrees):
    """Rectangular, hexagonal (60 and 120 degrees) and chiral cells."""
    sheet, rotation = honeycomb(cells), rotation_about(axis, degrees)
    energy, forces = calculated(model, sheet)
    rotated = turned_whole(sheet, rotation)
    placed = [Calculator(model, device="cpu").potentials[0].lay(atoms) for atoms in (sheet, rotated)]
    found, other = calculated(model, rotated)
    if np.allclose(placed[0].rotation, placed[1].rotation @ frame_turn(sheet, rotated, rotation), atol=1e-9):
        assert found == pytest.approx(energy, abs=1e-8)
        np.testing.assert_allclose(other, forces @ rotation.T, atol=1e-8)
    else:
        # Another of the three equivalent directions of the honeycomb, on other pixels.
        assert cells[0][1] == 0
        assert found / len(sheet) == pytest.approx(energy / len(sheet), abs=0.05)
    assert np.abs(other @ rotation[:, 2]).max() < 1e-9  # none across the sheet


def frame_turn(sheet, rotated, rotation):
    """What turns the plane of `sheet` into that of `rotated`, as (2, 2)."""
    first, second = frame_of(sheet).axes, frame_of(rotated).axes
    return (second @ rotation @ first.T)[:2, :2]


def test_a_hexagonal_cell_is_half_of_its_rectangle(model):
    """4 x 4 primitive cells at 60 and at 120 degrees, and the rectangle of two of them: one grid, one energy."""
    hexagonal = honeycomb([[4, 0], [0, 4]])
    energy, forces = calculated(model, hexagonal)
    other = hexagonal.copy()
    other.set_cell([hexagonal.cell[0], hexagonal.cell[1] - hexagonal.cell[0], hexagonal.cell[2]])
    found, others = calculated(model, other)
    assert found == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(others, forces, atol=1e-9)
    rectangle = hexagonal.repeat((1, 2, 1))
    rectangle.set_cell([hexagonal.cell[0], 2 * hexagonal.cell[1] - hexagonal.cell[0], hexagonal.cell[2]])
    found, others = calculated(model, rectangle)
    assert frame_of(rectangle).aligned
    assert found == pytest.approx(2 * energy, abs=1e-9)
    # Its two halves lie differently on the pixels, and the atoms of the hexagonal cell are both.
    np.testing.assert_allclose(others.reshape(2, -1, 3).mean(axis=0), forces, atol=1e-9)


def test_an_aligned_rectangle_is_left_as_it_is(model):
    potential = Calculator(model, device="cpu").potentials[0]
    for atoms in (rattled(), in_periodic_box(rattled())):
        placed = potential.lay(atoms)
        assert placed.positions is not None
        np.testing.assert_array_equal(placed.positions, atoms.positions[:, :2])
        np.testing.assert_array_equal(placed.cell, atoms.cell.lengths()[:2])
        np.testing.assert_array_equal(placed.rotation, np.eye(2))


# --- other grids: within what pixels are worth -------------------------------------------------------------------


@pytest.mark.parametrize("cells", [[[3, 0], [1, 3]], [[3, 1], [-1, 4]], [[4, 1], [-2, 3]]])
def test_forces_are_minus_the_gradient_in_the_axes_of_the_user(model, cells):
    sheet = turned_whole(honeycomb(cells), rotation_about((1, -2, 3), 40.0))
    sheet.calc = Calculator(model, device="cpu", dtype="float64")
    forces, step = sheet.get_forces(), 1e-4
    normal = frame_of(sheet).axes[2]
    for axis in range(3):
        ends = []
        for sign in (1, -1):
            moved = sheet.copy()
            moved.calc = sheet.calc
            # Within the plane: out of it there is no force.
            direction = np.eye(3)[axis] - normal[axis] * normal
            moved.positions[5] += sign * step * direction
            ends.append(moved.get_potential_energy())
        assert forces[5] @ direction == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-6)
    assert np.abs(forces[5]).max() > 1e-3


@pytest.mark.medium
@pytest.mark.parametrize("cells", [[[3, 0], [1, 3]], [[3, 1], [-1, 4]]])
def test_a_symmetric_calculator_takes_any_cell(model, cells):
    sheet = honeycomb(cells)
    sheet.calc = Calculator(model, device="cpu", dtype="float64", symmetric=True)
    force, step = sheet.get_forces()[3].copy(), 1e-4
    for axis in range(2):
        ends = []
        for sign in (1, -1):
            moved = sheet.copy()
            moved.calc = sheet.calc
            moved.positions[3, axis] += sign * step
            ends.append(moved.get_potential_energy())
        assert force[axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-6)
    assert sheet.calc.uncertainty()["forces"].shape == (len(sheet), 3)


# --- where a sheet lies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0.0, 7.3, 29.9, 30.0, 31.0, 59.0])
@pytest.mark.parametrize("cells", [[[4, 0], [0, 4]], [[4, 1], [-2, 3]], [[6, 0], [0, 6]]])
def test_the_direction_is_that_of_the_lattice_and_not_of_the_atoms(cells, degrees):
    """Atoms that move do not turn the frame, or forces would not be the gradient."""
    for seed in range(3):
        sheet = turned_whole(honeycomb(cells, 0.06, seed), rotation_about((0, 0, 1), degrees))
        frame = frame_of(sheet)
        off = math.degrees(frame.honeycomb) - degrees
        assert (off + 30) % 60 - 30 == pytest.approx(0.0, abs=1e-6)


def test_a_strained_honeycomb_keeps_its_direction():
    sheet = honeycomb([[5, 1], [-1, 5]], 0.04)
    strain = np.eye(3)
    strain[:2, :2] += [[0.04, 0.01], [0.01, -0.03]]
    sheet.set_cell(np.asarray(sheet.cell) @ strain, scale_atoms=True)
    angle = math.degrees(frame_of(sheet).honeycomb)
    assert (angle + 30) % 60 - 30 == pytest.approx(0.0, abs=0.05)


def test_vacancies_and_edges_do_not_turn_a_sheet():
    sheet = honeycomb([[6, 0], [0, 6]], 0.04)
    del sheet[[3, 4, 17, 40]]
    assert (math.degrees(frame_of(sheet).honeycomb) + 30) % 60 - 30 == pytest.approx(0.0, abs=1e-6)


def test_a_square_lattice_has_no_honeycomb_and_lies_along_its_cell():
    square = Atoms("C", cell=[1.5, 1.5, 15.0], pbc=True).repeat((4, 6, 1))
    rotated = turned_whole(square, rotation_about((0, 0, 1), 20.0))
    frame = frame_of(rotated)
    assert frame.honeycomb is None
    placed = place(frame, rotated.numbers, choose_grid(frame, 0.4, 2))
    assert placed.upright
    assert sorted(placed.cell) == pytest.approx([6.0, 9.0])


@pytest.mark.parametrize("cells", [[[3, 1], [-1, 4]], [[2, 1], [-1, 3]], [[7, 2], [-3, 8]]])
def test_grids_of_any_cell_are_nearly_square_and_whole(cells):
    frame = frame_of(honeycomb(cells))
    grid = choose_grid(frame, EDNN.pixel_size_A, 2)
    assert (grid.periods % 2 == 0).all()
    wanted = grid.cells @ frame.vectors / EDNN.pixel_size_A
    rotated = wanted @ np.array(
        [[math.cos(grid.angle), math.sin(grid.angle)], [-math.sin(grid.angle), math.cos(grid.angle)]]
    )
    assert distortion_of(rotated, grid.periods) < 0.02


# --- what is none --------------------------------------------------------------------------------------------------


def no_cell(sheet):
    sheet.set_cell(np.zeros((3, 3)))
    sheet.pbc = False


def not_periodic(sheet):
    sheet.pbc = (True, False, False)


def rippled(sheet):
    sheet.positions[:, 2] += 0.5 * np.sin(2 * np.pi * sheet.get_scaled_positions()[:, 0])


def bilayer(sheet):
    other = sheet.copy()
    other.positions[:, 2] += 3.35
    sheet += other


def stacked(sheet):
    sheet.cell[2, 2] = 3.35


def bulk(sheet):
    other = sheet.copy()
    other.positions[:, 2] += 3.35
    sheet += other
    sheet.cell[2, 2] = 6.7


def flat_cell(sheet):
    sheet.set_cell([sheet.cell[0], 2 * sheet.cell[0], sheet.cell[2]])
    sheet.pbc = (True, True, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_cell, "no cell"),
        (not_periodic, "must be periodic along two axes"),
        (rippled, "it is a projection"),
        (bilayer, "2 layers, 3.35 A"),
        (stacked, "bulk or a stack of layers"),
        (bulk, "bulk or a stack of layers"),
        (flat_cell, "span no plane"),
    ],
)
def test_what_is_no_flat_sheet_is_refused_saying_what_it_is(change, message):
    sheet = honeycomb([[4, 0], [0, 4]])
    change(sheet)
    with pytest.raises(InputError, match=message) as caught:
        frame_of(sheet)
    assert "\n" not in str(caught.value)


def test_chains_and_lone_atoms_are_told_from_sheets():
    chain = Atoms("C3", [[0, 7, 7], [1.3, 7, 7], [2.6, 7, 7]], cell=[3.9, 14.0, 14.0], pbc=True)
    with pytest.raises(InputError, match="a chain, which is no sheet"):
        check_no_chain(frame_of(chain), "structure chain")
    atom = Atoms("C", [[6, 6, 6]], cell=[12, 12, 12], pbc=True)
    with pytest.raises(InputError, match="a lone atom in vacuum"):
        check_no_chain(frame_of(atom), "structure atom")
    check_no_chain(frame_of(honeycomb([[1, 0], [0, 1]], 0.0)), "structure sheet")


def test_a_gap_is_at_least_the_vacuum_of_labels_on_either_side():
    from extensive.config.load import complete_config

    assert 2 * complete_config({})["reference"]["dft"]["vacuum_A"] >= LEAST_GAP_A
    assert FLAT_TOLERANCE_A < 0.2
    assert RIGHT_ANGLE < 1e-3
    sheet = honeycomb([[4, 0], [0, 4]], height=LEAST_GAP_A + 0.01)
    assert len(frame_of(sheet)) == len(sheet)


# --- what another pixel grid is worth: see docs/own-structures.md ------------------------------------------------

# Largest difference between two descriptions of one sheet, and their spread, of each and over all sheets below,
# meV/atom; on the same pixels they agree to rounding.
GRID_BOUND_MEV, GRID_RMS_MEV, GRID_RMS_OF_ALL_MEV = 1.0, 0.3, 0.2
DESCRIBED = [
    (cells, symbols)
    for symbols in (("C", "C"), ("B", "N"))
    for cells in ([[4, 0], [0, 4]], [[3, 1], [-1, 4]], [[2, 1], [-1, 3]])
]


@pytest.fixture(scope="module")
def energies_of_descriptions() -> list[list[float]]:
    """Energies of each sheet of DESCRIBED in several cells and directions by the published network, meV/atom."""
    calculator, found = Calculator("ednn", device="cpu"), []
    for cells, symbols in DESCRIBED:
        sheet = honeycomb(cells, 0.05, symbols=symbols)
        if symbols != ("C", "C"):
            sheet.set_cell(np.asarray(sheet.cell) * LATTICE_CONSTANTS_A["hbn"] / A, scale_atoms=True)
        others = [sheet.repeat(times) for times in ((2, 1, 1), (1, 2, 1), (3, 1, 1))]
        others += [turned_whole(sheet, rotation_about((0, 0, 1), degrees)) for degrees in (35, 60, 120)]
        found.append([1e3 * calculator.get_potential_energy(atoms) / len(atoms) for atoms in (sheet, *others)])
    return found


# The published network has 0.31 meV/atom on the first of these sheets of graphene; its other seeds have 0.18 and 0.08.
WORST = pytest.param(0, marks=pytest.mark.xfail(strict=True, reason="0.31 meV/atom by the published network"))


@pytest.mark.medium
@pytest.mark.parametrize("index", [WORST, *range(1, len(DESCRIBED))])
def test_the_published_network_tells_descriptions_of_a_sheet_apart_by_little(index, energies_of_descriptions):
    assert np.std(energies_of_descriptions[index]) < GRID_RMS_MEV


@pytest.mark.medium
def test_the_published_network_tells_descriptions_apart_by_little(energies_of_descriptions):
    assert np.ptp(energies_of_descriptions, axis=1).max() < GRID_BOUND_MEV
    assert np.sqrt(np.var(energies_of_descriptions, axis=1).mean()) < GRID_RMS_OF_ALL_MEV
