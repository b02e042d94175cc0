"""The real-space grid and the k-points of a sheet: cells of all sizes and shapes are sampled alike."""

import itertools
import math
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.reference.settings import GRID_MULTIPLE, DFTSettings, height_room
from extensive.structures.cells import unstrained_lengths
from extensive.structures.frame import is_aligned

# Points of the grid for each length of a cell that is not rectangular, of the rectangular ones' mean: with it, and with
# even counts, energies per atom of perfect sheets agree over the shapes (docs/notebook.md).
OBLIQUE_DENSITY = 1.01
# Rectangular cell of graphene (Angstrom), for k-point and grid densities of cells without `supercell`.
REFERENCE_CELL_A = (2.46, 2.46 * math.sqrt(3.0))
# Lattice constants (Angstrom) of the honeycombs that a sheet is made of, for grids that strain leaves as they are.
CARBON_A, BORON_NITRIDE_A = 2.46, 2.504
# A cell is this much longer or shorter than its `supercell` at most, strain and hBN's lattice constant together.
LARGEST_STRAIN = 0.15


def determining(atoms: Atoms, settings: DFTSettings) -> dict[str, Any]:
    """What of the settings determines the label of one sheet, JSON-able: `settings.physical()`, and its sampling.

    Of cells that are not rectangular it says how their grid was chosen. Where `supercell` does not say how many cells
    there are, and grid or k-points are others than it would give, it says which.
    """
    values = settings.physical()
    aligned = is_aligned(atoms.cell.array)
    if not aligned:
        values["oblique_density"] = OBLIQUE_DENSITY
    if cells_of(atoms)[1] or (not aligned and _stated(atoms) is not None):
        return values
    stated = atoms.copy()
    stated.info[keys.SUPERCELL] = np.maximum(1, np.rint(cells_of(atoms)[0]).astype(int))
    sampled = [
        (grid_shape(sheet, settings)[:2], sorted(kpoint_list(sheet, settings).tolist())) for sheet in (atoms, stated)
    ]
    if not aligned or sampled[0] != sampled[1]:
        values["sampled"] = {"grid_points": list(sampled[0][0]), "kpoints": len(sampled[0][1])}
    return values


def cells_of(atoms: Atoms) -> tuple[np.ndarray, bool]:
    """Numbers (2,) of rectangular 4-atom cells along x and y, and whether the sheet states them.

    By the lengths where `supercell` is absent or cannot mean that: other programs may call something else so.
    """
    by_length, stated = atoms.cell.lengths()[:2] / REFERENCE_CELL_A, _stated(atoms)
    if stated is not None and np.abs(by_length / stated - 1.0).max() < LARGEST_STRAIN:
        return stated.astype(float), True
    return by_length, False


def _stated(atoms: Atoms) -> np.ndarray | None:
    """`supercell` (2,) of a sheet where it holds two numbers of cells, of whatever shape; else None."""
    stated = np.asarray(atoms.info.get(keys.SUPERCELL, ()))
    counts = stated.shape == (2,) and np.issubdtype(stated.dtype, np.integer) and (stated > 0).all()
    return stated if counts else None


def grid_shape(atoms: Atoms, settings: DFTSettings) -> tuple[int, int, int]:
    """Real-space grid points along the cell's vectors. Strain of a supercell changes the spacing, never the count.

    Cells of other shapes have `OBLIQUE_DENSITY` times the mean points per lattice constant of the rectangular ones, in
    even counts of that mean: in coarser steps, energies per atom would depend on the cell.
    """
    per_cell = [points / cells for points, cells in zip(settings.grid_points, settings.grid_cells)]
    if is_aligned(atoms.cell.array):
        counts = [_nearest_multiple(points * cells) for cells, points in zip(cells_of(atoms)[0], per_cell)]
    else:
        density = OBLIQUE_DENSITY * np.mean([per_cell[0], per_cell[1] / math.sqrt(3.0)])
        counts = _even_of_one_mean(density * _lattice_constants_long(atoms))
    counts.append(_nearest_multiple((height_room(atoms, settings) + 2 * settings.vacuum_A) / settings.z_spacing_A))
    return tuple(counts)


def _lattice_constants_long(atoms: Atoms) -> np.ndarray:
    """Lengths (2,) of the periods in lattice constants of an unstrained sheet of these elements."""
    share = np.isin(atoms.get_chemical_symbols(), ("B", "N")).mean()
    lengths = atoms.cell.lengths()[:2] / (CARBON_A + share * (BORON_NITRIDE_A - CARBON_A))
    stated = _stated(atoms)
    return lengths if stated is None else unstrained_lengths(lengths, stated)


def _even_of_one_mean(wanted: np.ndarray) -> list[int]:
    """Two even counts, each next to the one of `wanted` (2,), whose mean share of it is nearest one."""
    choices = [sorted((2 * math.floor(value / 2), 2 * math.ceil(value / 2))) for value in wanted]
    return list(min(itertools.product(*choices), key=lambda pair: abs(np.mean(np.array(pair) / wanted) - 1.0)))


def _nearest_multiple(points: float) -> int:
    return max(GRID_MULTIPLE, GRID_MULTIPLE * round(points / GRID_MULTIPLE))


def kpoint_list(atoms: Atoms, settings: DFTSettings) -> np.ndarray:
    """Fractional k-points (K, 3), equally weighted.

    The Monkhorst-Pack points of one 4-atom cell at the configured density, folded into the zone of the supercell:
    supercells of one sheet then sample the very same states, so their energies per atom are equal. Where a supercell
    has no short exact folding, an even Monkhorst-Pack grid of at least the nearest density is used instead. Points
    that are mirror images of each other give a perfect sheet the same energy; `mirror_kpoints` says whether all of
    them are computed or one of each kind. Time reversal halves what remains of the zone in either case.

    Cells of other shapes have an even Monkhorst-Pack grid of the nearest density, and all of its points.
    """
    if not is_aligned(atoms.cell.array):
        return _monkhorst_pack(_even_counts(atoms, settings))
    axes = []
    counts, stated = cells_of(atoms)
    for cells, kpoints, per in zip(counts, settings.kpoints, settings.kpoint_cells):
        total = kpoints * per  # Monkhorst-Pack points of one 4-atom cell
        whole = round(cells)
        folded = total // math.gcd(total, whole) if whole >= 1 else 0
        if stated and folded <= 2 * math.ceil(total / whole):
            points = (2 * np.arange(total) - total + 1) / (2 * total) * whole
            points = np.unique(np.rint((points - np.floor(points)) * 2 * total).astype(int) % (2 * total))
            axis = points / (2 * total)
        else:
            count = max(2, 2 * round(total / cells / 2))
            axis = (2 * np.arange(count) - count + 1) / (2 * count)
        axes.append(np.where(axis > 0.5, axis - 1.0, axis))
    if not settings.mirror_kpoints and not any(np.isin(axis, (0.0, 0.5)).any() for axis in axes):
        # No point is its own mirror image: those with positive components weigh the same as all.
        axes = [axis[axis > 0] for axis in axes]
    kx, ky = np.meshgrid(*axes, indexing="ij")
    return np.stack([kx.ravel(), ky.ravel(), np.zeros(kx.size)], axis=1)


def _even_counts(atoms: Atoms, settings: DFTSettings) -> list[int]:
    """Even numbers of k-points along the reciprocal vectors, at the density of the rectangular cells."""
    reach = [count * per * cell for count, per, cell in zip(settings.kpoints, settings.kpoint_cells, REFERENCE_CELL_A)]
    # The spacing of k-points along a reciprocal vector goes with the height of the cell above its other vector.
    first, second = atoms.cell.array[:2, :2]
    area = abs(first[0] * second[1] - first[1] * second[0])
    heights = area / np.linalg.norm(second), area / np.linalg.norm(first)
    return [2 * max(1, round(np.mean(reach) / height / 2)) for height in heights]


def _monkhorst_pack(counts: list[int]) -> np.ndarray:
    """Fractional Monkhorst-Pack points (K, 3) of a sheet."""
    axes = [(2 * np.arange(count) - count + 1) / (2 * count) for count in counts]
    kx, ky = np.meshgrid(*axes, indexing="ij")
    return np.stack([kx.ravel(), ky.ravel(), np.zeros(kx.size)], axis=1)
