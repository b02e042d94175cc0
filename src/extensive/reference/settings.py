"""DFT settings, and the grids and k-points that they mean for a given cell."""

import importlib.metadata
import itertools
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import digest
from extensive.structures.cells import unstrained_lengths
from extensive.structures.frame import is_aligned

# Real-space grids are rounded to multiples of this, so that the Poisson solver's grids fit.
GRID_MULTIPLE = 4
# Points of the grid for each length of a cell that is not rectangular, of the rectangular ones' mean: with it, and with
# even counts, energies per atom of perfect sheets agree over the shapes (docs/notebook.md).
OBLIQUE_DENSITY = 1.01
# Labels are told apart down to this length; structures are rounded to it when they are made.
LENGTH_STEP_A = 1e-6
# Cell vectors that leave the plane by less lie in it (Angstrom).
PLANE_A = 1e-9
# Heights that differ by less are one.
FLAT_A = 1e-6
# Rectangular cell of graphene (Angstrom), for k-point and grid densities of cells without `supercell`.
REFERENCE_CELL_A = (2.46, 2.46 * math.sqrt(3.0))
# Lattice constants (Angstrom) of the honeycombs that a sheet is made of, for grids that strain leaves as they are.
CARBON_A, BORON_NITRIDE_A = 2.46, 2.504


@dataclass(frozen=True)
class DFTSettings:
    """Settings of one level of DFT, per sheet and not per cell, so that cells of all sizes are comparable.

    `grid_points` along (x, y) belong to `grid_cells` rectangular 4-atom cells, `kpoints` (Monkhorst-Pack, even)
    to `kpoint_cells`; other supercells get the proportional grid and the folded k-points. Without `mirror_kpoints`,
    one of each set of points that the mirrors of a perfect sheet map onto each other stands for all. `mixer`,
    `max_iterations`, `start_kpoints` and `start_grid_points` (of the coarser calculation whose density this one starts
    from) steer how the solution is found, not what it is: they are not part of the digest.
    """

    mode: str
    basis: str
    xc: str
    grid_points: tuple[int, int]
    grid_cells: tuple[int, int]
    z_spacing_A: float
    vacuum_A: float
    kpoints: tuple[int, int]
    kpoint_cells: tuple[int, int]
    mirror_kpoints: bool
    occupations: str
    smearing_eV: float
    density_convergence: float
    mixer: tuple[float, int, float]
    max_iterations: int
    start_kpoints: tuple[int, int] | None
    start_grid_points: tuple[int, int] | None

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "DFTSettings":
        """Settings from the `reference.dft` section of a configuration, lists made tuples."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in section.items()})

    def in_words(self) -> str:
        """What the labels are, for captions: functional, basis, occupations and k-points."""
        basis = f"LCAO {self.basis}" if self.mode == "lcao" else self.mode
        kind = self.occupations.replace("-", " ").title().replace(" ", "-")
        points = "x".join(str(count) for count in self.kpoints)
        some = "" if self.mirror_kpoints else ", one for all that the mirrors of a perfect sheet join"
        atoms = 4 * math.prod(self.kpoint_cells)
        return (
            f"{self.xc}, {basis}, not spin-polarised, {kind} occupations of {self.smearing_eV:g} eV, "
            f"{points} k-points for each {atoms} atoms{some}"
        )

    def of_the_start(self) -> "DFTSettings":
        """The settings of the calculation whose density the one with these settings starts from."""
        points = self.start_grid_points or self.grid_points
        return replace(
            self,
            kpoints=self.start_kpoints or self.kpoints,
            grid_points=tuple(min(pair) for pair in zip(points, self.grid_points)),
        )

    def physical(self) -> dict[str, Any]:
        """What determines the converged result, JSON-able."""
        values = asdict(self)
        for key in ("mixer", "max_iterations", "start_kpoints", "start_grid_points"):
            del values[key]
        if self.occupations == "fermi-dirac":
            del values["occupations"]  # labels from before there was a choice say nothing
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def physical_for(self, atoms: Atoms) -> dict[str, Any]:
        """`physical` of one sheet: that of a cell which is not rectangular says how its grid was chosen, too."""
        values = self.physical()
        if not is_aligned(atoms.cell.array):
            values["oblique_density"] = OBLIQUE_DENSITY
        return values


def gpaw_version() -> str:
    """Version of the installed GPAW without importing it; InputError if there is none."""
    try:
        return importlib.metadata.version("gpaw")
    except importlib.metadata.PackageNotFoundError:
        raise InputError("gpaw is not installed; DFT labels need it (pip install gpaw==26.7.0)") from None


def version_key(version: str) -> str:
    """The part of a GPAW version that labels are told apart by: major.minor."""
    return ".".join(version.split(".")[:2])


def label_digest(atoms: Atoms, physical: dict[str, Any], version: str) -> str:
    """Digest of what determines a label: species, cell, boundary conditions, positions (to 1e-6 A), settings.

    A sheet's own vacuum does not count, since the settings bring theirs: heights are taken relative to the lowest
    atom and the third cell vector of a cell that is not periodic along it is left out.
    """
    positions = atoms.positions.copy()
    cell = atoms.cell.array.copy()
    if not atoms.pbc[2]:
        positions[:, 2] -= positions[:, 2].min()
        cell[2] = 0.0
    value = {
        "numbers": atoms.numbers.tolist(),
        "pbc": atoms.pbc.tolist(),
        "cell": np.rint(cell / LENGTH_STEP_A).astype(int).tolist(),
        "positions": np.rint(positions / LENGTH_STEP_A).astype(int).tolist(),
        "settings": physical,
        "gpaw": version_key(version),
    }
    # The prefix keeps extended XYZ from reading a digest of digits as a number.
    return "sha256:" + digest(value)


def cells_of(atoms: Atoms) -> tuple[float, float]:
    """Number of rectangular 4-atom cells along x and y; estimated from the lengths where it is not stated."""
    if keys.SUPERCELL in atoms.info:
        nx, ny = np.asarray(atoms.info[keys.SUPERCELL]).astype(int).tolist()
        return float(nx), float(ny)
    lengths = atoms.cell.lengths()
    return lengths[0] / REFERENCE_CELL_A[0], lengths[1] / REFERENCE_CELL_A[1]


def grid_shape(atoms: Atoms, settings: DFTSettings) -> tuple[int, int, int]:
    """Real-space grid points along the cell's vectors. Strain of a supercell changes the spacing, never the count.

    Cells of other shapes have `OBLIQUE_DENSITY` times the mean points per lattice constant of the rectangular ones, in
    even counts of that mean: in coarser steps, energies per atom would depend on the cell.
    """
    per_cell = [points / cells for points, cells in zip(settings.grid_points, settings.grid_cells)]
    if is_aligned(atoms.cell.array):
        counts = [_nearest_multiple(points * cells) for cells, points in zip(cells_of(atoms), per_cell)]
    else:
        density = OBLIQUE_DENSITY * np.mean([per_cell[0], per_cell[1] / math.sqrt(3.0)])
        counts = _even_of_one_mean(density * _lattice_constants_long(atoms))
    counts.append(_nearest_multiple((_height(atoms, settings) + 2 * settings.vacuum_A) / settings.z_spacing_A))
    return tuple(counts)


def _lattice_constants_long(atoms: Atoms) -> np.ndarray:
    """Lengths (2,) of the periods in lattice constants of an unstrained sheet of these elements."""
    share = np.isin(atoms.get_chemical_symbols(), ("B", "N")).mean()
    lengths = atoms.cell.lengths()[:2] / (CARBON_A + share * (BORON_NITRIDE_A - CARBON_A))
    if keys.SUPERCELL not in atoms.info:
        return lengths
    return unstrained_lengths(lengths, np.asarray(atoms.info[keys.SUPERCELL]))


def _even_of_one_mean(wanted: np.ndarray) -> list[int]:
    """Two even counts, each next to the one of `wanted` (2,), whose mean share of it is nearest one."""
    choices = [sorted((2 * math.floor(value / 2), 2 * math.ceil(value / 2))) for value in wanted]
    return list(min(itertools.product(*choices), key=lambda pair: abs(np.mean(np.array(pair) / wanted) - 1.0)))


def _height(atoms: Atoms, settings: DFTSettings) -> float:
    """Room (A) for the heights of a sheet that is not flat, in whole steps of the grid: frames in a row share one."""
    heights = atoms.positions[:, 2] - atoms.positions[:, 2].mean()
    step = GRID_MULTIPLE * settings.z_spacing_A
    return step * math.ceil(2 * np.abs(heights).max() / step - FLAT_A)


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
    for cells, kpoints, per in zip(cells_of(atoms), settings.kpoints, settings.kpoint_cells):
        total = kpoints * per  # Monkhorst-Pack points of one 4-atom cell
        whole = round(cells)
        folded = total // math.gcd(total, whole) if whole >= 1 else 0
        if keys.SUPERCELL in atoms.info and folded <= 2 * math.ceil(total / whole):
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


def with_vacuum(atoms: Atoms, settings: DFTSettings) -> Atoms:
    """A copy of a sheet with at least the settings' vacuum on either side; the mean of its heights is the middle."""
    sheet = atoms.copy()
    sheet.info = {}
    height = _height(atoms, settings) + 2 * settings.vacuum_A
    sheet.cell[2] = (0.0, 0.0, height)
    # Of a flat sheet all heights are one number, so that the place of atoms on the grid is the same for all.
    heights = sheet.positions[:, 2]
    middle = heights.mean() if np.ptp(heights) > FLAT_A else heights.min()
    sheet.positions[:, 2] += height / 2 - middle
    return sheet


def check_sheet(atoms: Atoms) -> None:
    """InputError unless `atoms` is a sheet that this stage can label: in the x-y plane and periodic there only."""
    name = atoms.info.get(keys.STRUCTURE_ID, "structure")
    if len(atoms) == 0:
        raise InputError(f"{name}: no atoms; expected a sheet of atoms")
    if atoms.pbc.tolist() != [True, True, False]:
        raise InputError(f"{name}: pbc is {atoms.pbc.tolist()}; expected periodic in x and y only")
    if np.abs(atoms.cell.array[:2, 2]).max() > PLANE_A:
        raise InputError(f"{name}: a period leaves the x-y plane; expected the first two cell vectors in it")
    if abs(np.linalg.det(atoms.cell.array[:2, :2])) < PLANE_A:
        raise InputError(f"{name}: the first two cell vectors span no area")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{name}: positions that are not numbers")
