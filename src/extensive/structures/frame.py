"""The frame of the networks: any flat periodic sheet in its own plane, and the way back to the user's axes.

A file may hold a sheet in any description: a hexagonal, oblique or left-handed cell, vacuum along any axis, the whole
rotated in space, atoms on either side of a cell's boundary. `frame_of` finds the plane, its two period vectors and the
positions in it. Which way a honeycomb lies in that plane is said by its bonds; see `extensive.structures.direction`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.structures.bonds import BondList, Bonds, bonds_in_plane, summary
from extensive.structures.direction import honeycomb_angle

# The image knows only the plane; a sheet that buckles more than this is another system.
FLAT_TOLERANCE_A = 0.1
# Of a cell that is periodic along three axes: twice the least vacuum of labels. Layers of bulk are half as far apart.
LEAST_GAP_A = 6.4
# An entry of a cell below this is zero: cells that this project writes are exact.
ALIGNED_A = 1e-6
# Cosine of the angle between two cell vectors that a file's digits leave of a right one: a shear of so much is worth
# less than 1e-3 meV an atom.
RIGHT_ANGLE = 1e-4


@dataclass(frozen=True)
class Frame:
    """A flat sheet of N atoms in its plane; r_plane = axes @ r for the positions and forces of the user's axes."""

    axes: np.ndarray  # (3, 3) | rows: x, y of the plane and its normal, in the user's axes
    vectors: np.ndarray  # (2, 2) | rows: period vectors, Angstrom; the second is to the left of the first
    positions: np.ndarray  # (N, 2) | Angstrom
    across: np.ndarray | None  # (3,) | period vector across the sheet in the user's axes; None where it has none
    aligned: bool  # an orthogonal cell whose axes are x and y: the plane's are the user's, and nothing is rotated

    def __len__(self) -> int:
        return len(self.positions)

    def back(self, in_plane: np.ndarray) -> np.ndarray:
        """Forces or other vectors (N, 2) of the plane as (N, 3) in the user's axes."""
        if self.aligned:
            return np.column_stack([in_plane, np.zeros(len(in_plane))])
        return in_plane @ self.axes[:2]

    def in_plane(self, vectors: np.ndarray) -> np.ndarray:
        """Forces or other vectors (N, 3) of the user's axes as (N, 2) of the plane."""
        return vectors[:, :2] if self.aligned else vectors @ self.axes[:2].T

    @cached_property
    def bonds(self) -> BondList:
        """Bonds in the plane."""
        return bonds_in_plane(self.positions, self.vectors)

    @cached_property
    def honeycomb(self) -> float | None:
        """Angle (radians, modulo 60 degrees) from x to a zigzag row of the honeycomb; None where there is none."""
        return honeycomb_angle(self.bonds.steps, self.vectors)


def name_of(atoms: Atoms, name: str | None = None) -> str:
    """What errors call a structure."""
    return name or str(atoms.info.get("structure_id", atoms.get_chemical_formula()))


def is_aligned(cell: np.ndarray) -> bool:
    """Whether a cell (3, 3) is diag(Lx, Ly, Lz) with the sheet along x and y."""
    off_diagonal = np.abs(cell - np.diag(np.diag(cell))).max()
    return bool(off_diagonal <= ALIGNED_A and min(cell[0, 0], cell[1, 1]) > ALIGNED_A)


def frame_of(atoms: Atoms, name: str | None = None) -> Frame:
    """The frame of a flat periodic sheet. Raises InputError for what is none, saying what it is."""
    what = f"structure {name_of(atoms, name)}"
    if len(atoms) == 0:
        raise InputError(f"{what}: no atoms; an image needs at least one")
    cell = np.asarray(atoms.cell, dtype=float)
    if not np.isfinite(cell).all():
        raise InputError(f"{what}: the cell holds NaN or infinity; it must be finite, in Angstrom")
    if np.linalg.matrix_rank(cell, tol=ALIGNED_A) < 2:
        raise InputError(
            f"{what}: no cell; a sheet needs its two period vectors (Lattice= in extended XYZ, atoms.set_cell in ASE)"
        )
    if atoms.pbc.sum() < 2:
        raise InputError(f"{what}: pbc is {atoms.pbc.tolist()}; a sheet must be periodic along two axes, as T T F")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{what}: positions hold NaN or infinity; they must be finite, in Angstrom")
    normal_axis = _normal_axis(atoms, cell, what)
    aligned = normal_axis == 2 and is_aligned(cell)
    axes, vectors = (np.eye(3), cell[:2, :2].copy()) if aligned else _axes(cell, normal_axis)
    periodic = bool(atoms.pbc[normal_axis])
    heights, turns = _heights(atoms.positions, cell, axes[2], normal_axis, periodic)
    _check_flat(heights, what)
    across = cell[normal_axis] if periodic and abs(cell[normal_axis] @ axes[2]) > ALIGNED_A else None
    if aligned and not turns.any():
        return Frame(axes, vectors, atoms.positions[:, :2], across, True)
    # Atoms beyond the boundary are brought to the others by whole periods.
    positions = atoms.positions - turns[:, None] * cell[normal_axis]
    return Frame(axes, vectors, positions @ axes[:2].T, across, aligned)


def bonds(atoms: Atoms) -> Bonds:
    """Bonds of a flat sheet, as it lies in its plane; (inf, nan, nan) for a lone atom."""
    return summary(frame_of(atoms).bonds)


def _axes(cell: np.ndarray, normal_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Axes (3, 3) of the plane and its period vectors (2, 2), seen from the side that the third vector points to.

    x of the plane is as near to the user's x as can be, so that sheets along x and y stay where they are.
    """
    first, second = (cell[axis] for axis in range(3) if axis != normal_axis)
    if normal_axis == 1:
        first, second = second, first
    normal = np.cross(first, second)
    if normal @ cell[normal_axis] < 0:
        first, second, normal = second, first, -normal
    normal = normal / np.linalg.norm(normal)
    near = np.eye(3)[0 if abs(normal[0]) < 0.9 else 1]
    along = near - (near @ normal) * normal
    along /= np.linalg.norm(along)
    axes = np.array([along, np.cross(normal, along), normal])
    return axes, np.array([first, second]) @ axes[:2].T


def _normal_axis(atoms: Atoms, cell: np.ndarray, what: str) -> int:
    """The cell vector across the sheet: the one that is not periodic, or along which a flat sheet has a gap."""
    open_axes = np.flatnonzero(~atoms.pbc)
    if len(open_axes):
        plane = np.delete(cell, open_axes[0], axis=0)
        if np.linalg.norm(np.cross(*plane)) < ALIGNED_A:
            raise InputError(f"{what}: the two periodic cell vectors {plane.round(3).tolist()} span no plane")
        return int(open_axes[0])
    if np.linalg.matrix_rank(cell, tol=ALIGNED_A) < 3:
        zero = int(np.argmin(np.linalg.norm(cell, axis=1)))
        if np.linalg.norm(cell[zero]) > ALIGNED_A:
            raise InputError(f"{what}: the cell {cell.round(3).tolist()} has no volume; its vectors lie in one plane")
        return zero
    spreads, gaps = [], []
    for axis in range(3):
        first, second = np.delete(cell, axis, axis=0)
        normal = np.cross(first, second)
        normal /= np.linalg.norm(normal)
        period = abs(cell[axis] @ normal)
        spread = float(np.ptp(_heights(atoms.positions, cell, normal, axis, True)[0]))
        spreads.append(spread)
        gaps.append(period - spread)
    flat = [axis for axis in range(3) if spreads[axis] <= FLAT_TOLERANCE_A and gaps[axis] >= LEAST_GAP_A]
    if flat:
        # A chain has two such axes, and is told from a sheet by `check_no_chain`.
        return 2 if 2 in flat else max(flat, key=lambda axis: gaps[axis])
    wide = [axis for axis in range(3) if gaps[axis] >= LEAST_GAP_A]
    if wide:
        return min(wide, key=lambda axis: spreads[axis])
    raise InputError(
        f"{what}: periodic along three axes without a gap of {LEAST_GAP_A} A along any ({max(gaps):.2f} A at most):"
        " bulk or a stack of layers; a sheet needs vacuum, or pbc F across it"
    )


def _heights(
    positions: np.ndarray, cell: np.ndarray, normal: np.ndarray, axis: int, periodic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Heights (N,) along `normal`, and by how many vectors of the axis (N,) an atom lies from the others' period."""
    heights = positions @ normal
    turns = np.zeros(len(heights))
    period = cell[axis] @ normal
    if not periodic or abs(period) < ALIGNED_A:
        return heights, turns
    if np.ptp(heights) <= FLAT_TOLERANCE_A:
        return heights, turns
    # The widest gap on the circle is where the period is cut.
    fractions = heights / period
    turns = np.floor(fractions)
    ordered = np.sort(fractions - turns)
    steps = np.diff(ordered, append=ordered[0] + 1.0)
    cut = ordered[int(steps.argmax())]
    # The rest of the sheet is above the cut: what lies at or below it belongs to the next period.
    turns = turns - (fractions - turns <= cut)
    if steps.argmax() == len(steps) - 1:
        turns = turns + 1.0
    return heights - turns * period, turns


def _check_flat(heights: np.ndarray, what: str) -> None:
    spread = float(np.ptp(heights))
    if spread <= FLAT_TOLERANCE_A:
        return
    ordered = np.sort(heights)
    steps = np.diff(ordered)
    layers = np.split(ordered, np.flatnonzero(steps > 1.0) + 1)
    if len(layers) > 1 and all(len(layer) > 1 for layer in layers):
        raise InputError(
            f"{what}: {len(layers)} layers, {spread:.2f} A from the lowest atom to the highest along the normal; the"
            f" image knows flat sheets only, one at a time (at most {FLAT_TOLERANCE_A} A)"
        )
    raise InputError(
        f"{what}: atoms spread {spread:.3f} A along the normal; the image knows flat sheets only (at most"
        f" {FLAT_TOLERANCE_A} A): it is a projection, to which heights are lost; flatten the sheet"
    )


def check_no_chain(frame: Frame, what: str) -> None:
    """Raise InputError for atoms on one line with vacuum beside them: a chain or a lone atom, which is no sheet."""
    lines = []
    for axis in range(2):
        along = frame.vectors[1 - axis]
        across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        period = abs(frame.vectors[axis] @ across)
        places = np.sort(np.mod(frame.positions @ across, period))
        gap = float(np.diff(places, append=places[0] + period).max())
        lines.append(gap >= LEAST_GAP_A and period - gap <= FLAT_TOLERANCE_A)
    if all(lines):
        raise InputError(f"{what}: a lone atom in vacuum; the network knows sheets")
    if any(lines):
        raise InputError(f"{what}: all atoms lie on one line: a chain, which is no sheet")


def rectangle(vectors: np.ndarray, most: int, tolerance: float = RIGHT_ANGLE) -> np.ndarray | None:
    """The least rectangle along x and y that the lattice of `vectors` (2, 2) has: its edges as rows (2, 2) of whole
    numbers, in terms of `vectors`. None if it has none of at most `most` cells.
    """
    reduced = shortest(vectors)
    whole = np.rint(np.linalg.solve(vectors.T, reduced.T).T).astype(int)
    reach = range(-2 * most, 2 * most + 1)
    steps = np.array([step for step in itertools.product(reach, repeat=2) if math.gcd(*step) == 1])
    places = steps @ reduced
    lengths = np.linalg.norm(places, axis=1)
    edges = []
    for axis in range(2):
        along = np.flatnonzero((np.abs(places[:, 1 - axis]) <= tolerance * lengths) & (places[:, axis] > 0))
        if not len(along):
            return None
        edges.append(steps[along[lengths[along].argmin()]])
    if not 0 < edges[0][0] * edges[1][1] - edges[0][1] * edges[1][0] <= most:
        return None
    return np.array(edges) @ whole


def shortest(vectors: np.ndarray) -> np.ndarray:
    """The two shortest vectors (2, 2) that span a lattice (Lagrange's reduction), right-handed."""
    a, b = vectors
    while True:
        if a @ a > b @ b * (1 + 1e-12):
            a, b = b, -a
        share = (a @ b) / (a @ a)
        # Not at a half, where rounding would go back and forth.
        if abs(share) <= 0.5 + 1e-9:
            return np.array([a, b])
        b = b - np.rint(share) * a
