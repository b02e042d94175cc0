"""How a sheet is laid on a pixel grid: rotated to the direction that a network knows, whole numbers of pixels a period.

A sheet in an orthogonal cell whose zigzag rows lie along x is laid as it is. One whose lattice has a small rectangle
along x and y, as a hexagonal cell has, is laid as that rectangle. Any other is laid on pixels that are sheared and
rotated by as little as can be: see `images.oblique`. Small cells are repeated until their pixels are nearly square.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.structures.frame import Frame, frame_of, name_of, rectangle, shortest

SIXTH = math.pi / 3.0
# Copies of a cell that are drawn as a rectangle.
RECTANGLE_CELLS = 4
# A drawing of several cells is given no more atoms than this, nor more cells than the next.
MOST_ATOMS = 1200
MOST_CELLS = 16
# Rotated and sheared pixels: a grid this near to upright squares is good enough; beyond the second none is used.
GOOD_DISTORTION = 0.015
LARGEST_DISTORTION = 0.12
# Rows that the image of a large sheet should have at least, so that it can be cut into strips.
STRIP_ROWS = 192


@dataclass(frozen=True)
class Grid:
    """One period of an image: which cells of the lattice it holds, and its pixels.

    Where `periods` is None pixels are upright and their number is left to the network.
    """

    angle: float  # radians that the sheet is rotated by, counterclockwise, before anything else
    cells: np.ndarray  # (2, 2) | rows: period vectors of the image in terms of the sheet's, whole numbers
    periods: np.ndarray | None = None  # (2, 2) | the same in pixels, rows (x, y), whole numbers

    @property
    def copies(self) -> int:
        """Cells of the sheet in the image."""
        return abs(round(float(np.linalg.det(self.cells))))


@dataclass(frozen=True)
class Placed:
    """A sheet on its grid: M = copies * N atoms, those of each copy in the sheet's own order.

    r_grid = rotation @ r_plane, up to the rounding of a nearly right angle.
    """

    numbers: np.ndarray  # (M,) | atomic numbers
    positions: np.ndarray  # (M, 2) | Angstrom, in the grid's axes
    vectors: np.ndarray  # (2, 2) | rows: period vectors in the same axes, Angstrom; diagonal where upright
    rotation: np.ndarray  # (2, 2)
    copies: int
    periods: np.ndarray | None  # (2, 2) | period vectors in pixels; None for an upright grid
    pixels_A: np.ndarray | None  # (2, 2) | the symmetric steps of its pixels

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def upright(self) -> bool:
        """Whether rows and columns of pixels lie along an orthogonal cell."""
        return self.periods is None

    @property
    def cell(self) -> np.ndarray:
        """(2,) | Lx, Ly of an upright image, Angstrom."""
        return np.diag(self.vectors)

    def back(self, forces: np.ndarray) -> np.ndarray:
        """Forces (M, 2) in the grid's axes as forces (N, 2) on the sheet's atoms in its plane."""
        if self.copies > 1:
            forces = forces.reshape(self.copies, -1, 2).mean(axis=0)
        return forces if np.array_equal(self.rotation, np.eye(2)) else forces @ self.rotation


def angles_of(frame: Frame, zigzag: float | None) -> list[float]:
    """Angles (radians, least first) by which a sheet may be rotated so that zigzag rows lie at `zigzag` from x.

    One that is no honeycomb is rotated so that its shortest period lies along x or y. `zigzag` None: any way will do
    for an aligned sheet, and along x for others.
    """
    if frame.aligned and zigzag is None:
        return [0.0]
    angle = frame.honeycomb
    if angle is None:
        a = shortest(frame.vectors)[0]
        least = -math.atan2(a[1], a[0])
        angles = [_wrapped(least + k * math.pi / 2.0, math.pi) for k in range(2)]
        return [0.0] if frame.aligned else sorted(angles, key=_size)
    wanted = (zigzag or 0.0) - angle
    return sorted((_wrapped(wanted + k * SIXTH, math.pi) for k in range(3)), key=_size)


def _wrapped(angle: float, period: float) -> float:
    """The angle in (-period / 2, period / 2], up to rounding."""
    angle = (angle + period / 2.0) % period - period / 2.0
    # Of two equal angles always the same one.
    return angle + period if angle < -period / 2.0 + 1e-9 else angle


def _size(angle: float) -> tuple[float, bool]:
    return round(abs(angle), 6), angle < 0


def _rotated(vectors: np.ndarray, angle: float) -> np.ndarray:
    return vectors if angle == 0.0 else vectors @ _rotation(angle).T


def _rotation(angle: float) -> np.ndarray:
    # Quarter turns are exact, so that an exchange of axes is one.
    quarter = round(angle / (math.pi / 2.0))
    if abs(angle - quarter * math.pi / 2.0) < 1e-12:
        cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[quarter % 4]
    else:
        cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def choose_grid(
    frame: Frame,
    pixel_A: float,
    multiple: int,
    zigzag: float | None = 0.0,
    largest_pitch: float | None = None,
    can_shear: bool = True,
    most_atoms: int = MOST_ATOMS,
) -> Grid | None:
    """The grid of a sheet for a network of pixels of `pixel_A` whose images have sides of multiples of `multiple`.

    `zigzag`: angle from x at which it knows zigzag rows, None if it knows them along x and y. `largest_pitch`: what it
    knows of pixels off their size, as a logarithm; cells whose pixels would be off by more are repeated. `can_shear`:
    whether it takes sheared grids. None where there is no grid.
    """
    angles = angles_of(frame, zigzag)
    limits = pixel_A, multiple, largest_pitch, most_atoms, len(frame)
    upright = _upright(frame.vectors, angles, *limits)
    if upright is not None or not can_shear:
        return upright
    key = tuple(frame.vectors.ravel().tolist()), tuple(angles), pixel_A, multiple, len(frame), most_atoms
    return _sheared(*key)


def _upright(
    vectors: np.ndarray,
    angles: list[float],
    pixel_A: float,
    multiple: int,
    largest_pitch: float | None,
    most_atoms: int,
    n_atoms: int,
) -> Grid | None:
    """The rectangle of fewest cells over all angles; None where none is small."""
    found: Grid | None = None
    for angle in angles:
        rotated = _rotated(vectors, angle)
        cells = rectangle(rotated, RECTANGLE_CELLS)
        if cells is None:
            continue
        grid = Grid(angle, cells)
        if grid.copies > 1 and grid.copies * n_atoms > most_atoms:
            continue
        if found is None or grid.copies < found.copies:
            found = grid
        if found.copies == 1:
            break
    if found is None or largest_pitch is None:
        return found
    lengths = np.linalg.norm(found.cells @ vectors, axis=1)
    times = [_repeats(length, pixel_A, multiple, largest_pitch) for length in lengths]
    if math.prod(times) * found.copies * n_atoms > max(most_atoms, n_atoms):
        return found
    return Grid(found.angle, found.cells * np.array(times)[:, None])


def _repeats(length_A: float, pixel_A: float, multiple: int, largest_pitch: float) -> int:
    """How many times a period is repeated for its pixels to be off by no more than `largest_pitch`; 1 if none helps."""
    for times in range(1, MOST_CELLS + 1):
        count = max(1, round(times * length_A / pixel_A / multiple)) * multiple
        if abs(math.log(times * length_A / count / pixel_A)) <= largest_pitch + 1e-9:
            return times
    return 1


@lru_cache(maxsize=256)
def _sheared(
    vectors: tuple[float, ...], angles: tuple[float, ...], pixel_A: float, multiple: int, n_atoms: int, most_atoms: int
) -> Grid | None:
    """The grid of least distortion, of as few cells as give a good one; large sheets get images of many rows."""
    lattice = shortest(np.reshape(vectors, (2, 2)))
    whole = np.rint(np.linalg.solve(np.reshape(vectors, (2, 2)).T, lattice.T).T).astype(int)
    best: tuple[float, Grid] | None = None
    most = max(1, min(MOST_CELLS, most_atoms // n_atoms))
    for count in range(1, most + 1):
        for cells in _sublattices(count):
            reduced = shortest(cells @ lattice)
            numbers = np.rint(np.linalg.solve(lattice.T, reduced.T).T).astype(int)
            for angle in angles:
                wanted = _rotated(reduced, angle) / pixel_A
                for periods in _candidates(wanted, multiple, n_atoms > most_atoms):
                    distortion = distortion_of(wanted, periods)
                    if best is None or distortion < best[0] - 1e-6:
                        best = distortion, Grid(angle, numbers @ whole, periods)
        if best is not None and best[0] <= GOOD_DISTORTION:
            break
    return best[1] if best is not None and best[0] <= LARGEST_DISTORTION else None


def _sublattices(count: int) -> Iterator[np.ndarray]:
    """All lattices of `count` cells, as rows (2, 2) of whole numbers (Hermite normal forms)."""
    for first in range(1, count + 1):
        if count % first == 0:
            for shift in range(first):
                yield np.array([[first, 0], [shift, count // first]])


def _candidates(wanted: np.ndarray, multiple: int, large: bool) -> Iterator[np.ndarray]:
    """Period vectors (2, 2) in pixels around those `wanted`, multiples of `multiple`."""
    if large:
        # Rows of a period are the greatest common divisor of the two y.
        for rows in range(2 * STRIP_ROWS // multiple * multiple, multiple - 1, -multiple):
            steps = np.array([multiple, rows])
            periods = (np.rint(wanted / steps) * steps).astype(int)
            if np.linalg.det(periods) > 0.5 and distortion_of(wanted, periods) <= GOOD_DISTORTION / 3.0:
                yield periods
                return
    low = np.floor(wanted / multiple)
    for up in itertools.product((0, 1), repeat=4):
        periods = ((low + np.reshape(up, (2, 2))) * multiple).astype(int)
        if periods[0, 0] * periods[1, 1] - periods[0, 1] * periods[1, 0] > 0:
            yield periods


def split(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, U) with R U = `pixels` (2, 2): a rotation and symmetric steps (polar decomposition)."""
    cosine, sine = pixels[0, 0] + pixels[1, 1], pixels[1, 0] - pixels[0, 1]
    size = math.hypot(cosine, sine)
    rotation = np.array([[cosine, -sine], [sine, cosine]]) / size
    steps = rotation.T @ pixels
    return rotation, 0.5 * (steps + steps.T)


def distortion_of(wanted: np.ndarray, periods: np.ndarray) -> float:
    """How far pixels are off upright squares: the largest of their rotation (radians) and strains.

    `wanted` (2, 2): period vectors in units of a pixel's size; `periods` (2, 2): in pixels. Rows.
    """
    rotation, steps = split(np.linalg.solve(periods.astype(float), wanted).T)
    return max(abs(math.atan2(rotation[1, 0], rotation[0, 0])), float(np.abs(steps - np.eye(2)).max()))


def place(frame: Frame, numbers: np.ndarray, grid: Grid) -> Placed:
    """The sheet of `frame`, whose atoms have `numbers` (N,), on `grid`."""
    identity = np.array_equal(grid.cells, np.eye(2, dtype=int))
    if frame.aligned and grid.angle == 0.0 and identity and grid.periods is None:
        return Placed(numbers, frame.positions, np.diag(np.diag(frame.vectors)), np.eye(2), 1, None, None)
    rotation = _rotation(grid.angle)
    vectors = _rotated(grid.cells @ frame.vectors, grid.angle)
    positions = frame.positions if grid.angle == 0.0 else frame.positions @ rotation.T
    if grid.copies > 1:
        shifts = _cells_of(grid.cells) @ _rotated(frame.vectors, grid.angle)
        positions = (positions[None] + shifts[:, None]).reshape(-1, 2)
        numbers = np.tile(numbers, grid.copies)
    if grid.periods is None:
        # What digits leave of a right angle goes.
        straight = np.diag(np.linalg.norm(vectors, axis=1))
        straightened = positions @ np.linalg.inv(vectors) @ straight
        return Placed(numbers, straightened, straight, rotation, grid.copies, None, None)
    # The rotation that the rounding of the grid adds is taken back.
    tilt, steps = split(np.linalg.solve(grid.periods.astype(float), vectors).T)
    rotated = tilt.T @ rotation
    return Placed(numbers, positions @ tilt, vectors @ tilt, rotated, grid.copies, grid.periods, steps)


def aligned(atoms: Atoms) -> Placed:
    """A sheet in an orthogonal cell along x and y, as it is; InputError for any other."""
    frame = frame_of(atoms)
    if not frame.aligned:
        raise InputError(
            f"structure {name_of(atoms)}: the cell {np.asarray(atoms.cell).round(3).tolist()} is not orthogonal along x"
            " and y; Calculator, predict and train lay it on a grid of its own"
        )
    return place(frame, atoms.numbers, Grid(0.0, np.eye(2, dtype=int)))


def as_rectangle(atoms: Atoms) -> Placed:
    """A sheet as the least rectangle of its cells, zigzag rows along x; one whose cell lies along x and y stays.

    Raises InputError for a lattice that has no small rectangle.
    """
    frame = frame_of(atoms)
    grid = _upright(frame.vectors, angles_of(frame, None), 1.0, 1, None, MOST_ATOMS, len(frame))
    if grid is None:
        raise InputError(
            f"structure {name_of(atoms)}: {RECTANGLE_CELLS} cells {frame.vectors.round(3).tolist()} make no rectangle"
            " along its rows; files of images hold rectangles (Calculator, predict and train take any cell)"
        )
    return place(frame, atoms.numbers, grid)


def rectangular(atoms: Atoms) -> Atoms:
    """The sheet without labels in an orthogonal cell along x and y, in any direction: itself, or a rectangle of its
    cells. Timings and drawings take it.

    Raises InputError for a lattice that has no small rectangle.
    """
    frame = frame_of(atoms)
    if frame.aligned:
        return atoms
    a, b = shortest(frame.vectors)
    # Of a strained hexagonal cell only some of the short periods have another across them.
    angles = [-math.atan2(along[1], along[0]) for along in (a, b, a + b, a - b)]
    grid = _upright(frame.vectors, angles, 1.0, 1, None, RECTANGLE_CELLS * len(frame), len(frame))
    if grid is None:
        raise InputError(
            f"structure {name_of(atoms)}: {RECTANGLE_CELLS} cells {frame.vectors.round(3).tolist()} make no rectangle;"
            " timings and drawings need one: name another data set"
        )
    sheet = place(frame, atoms.numbers, grid)
    height = float(abs(np.linalg.det(atoms.cell.array)) / abs(np.linalg.det(frame.vectors)))
    flat = np.column_stack([sheet.positions, np.full(len(sheet), height / 2.0)])
    return Atoms(sheet.numbers, flat, cell=[*sheet.cell, height], pbc=(True, True, False), info=dict(atoms.info))


def _cells_of(cells: np.ndarray) -> np.ndarray:
    """Places (copies, 2) of the cells within a period, in terms of the cell's vectors, whole numbers."""
    count = abs(round(float(np.linalg.det(cells))))
    corners = np.array([[0, 0], cells[0], cells[1], cells[0] + cells[1]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    places = np.array(list(itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))
    # Whole numbers throughout: those of the period [0, 1) x [0, 1).
    determinant = cells[0, 0] * cells[1, 1] - cells[0, 1] * cells[1, 0]
    adjugate = np.array([[cells[1, 1], -cells[0, 1]], [-cells[1, 0], cells[0, 0]]])
    numbers = places @ adjugate * np.sign(determinant)
    inside = ((numbers >= 0) & (numbers < count)).all(axis=1)
    return places[inside]
