"""Cells of a honeycomb: the periods of a rectangular, hexagonal or chiral supercell, and the lattice points in it.

Everything is in the frame of the lattice, whose zigzag rows lie along x: a1 = (a, 0), a2 = (a/2, sqrt(3) a/2).
"""

import math
from itertools import product
from typing import Any

import numpy as np

from extensive.errors import InputError

RECTANGULAR, HEXAGONAL, CHIRAL = "rectangular", "hexagonal", "chiral"
# A cell as a configuration names it: one of the first two, or {chiral: [n, m]}.
Cell = str | dict[str, Any]
# Rows a1 and a2 for a lattice constant of 1.
LATTICE = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]])


def unit_of(cell: Cell) -> np.ndarray:
    """Periods (2, 2) of one cell as rows of whole numbers of a1 and a2.

    A chiral cell is spanned by n a1 + m a2 and the same rotated by 60 degrees.
    """
    if cell == RECTANGULAR:
        return np.array([[1, 0], [-1, 2]])
    n, m = (1, 0) if cell == HEXAGONAL else cell[CHIRAL]
    return np.array([[n, m], [-m, n + m]])


def check_cell(cell: Cell) -> None:
    """Raise InputError unless a configuration's `cell` is one."""
    if cell in (RECTANGULAR, HEXAGONAL):
        return
    numbers = cell.get(CHIRAL) if isinstance(cell, dict) and set(cell) == {CHIRAL} else None
    if not isinstance(numbers, list) or len(numbers) != 2 or any(type(number) is not int for number in numbers):
        raise InputError(f"{cell!r} is not a cell; choose {RECTANGULAR}, {HEXAGONAL} or {{{CHIRAL}: [n, m]}}")
    if min(numbers) < 0 or not any(numbers):
        raise InputError(f"{cell!r}: n and m should be whole numbers of at least 0, not both 0")


def periods_of(supercell: tuple[int, int], cell: Cell) -> np.ndarray:
    """Periods (2, 2) of nx x ny cells as rows of whole numbers of a1 and a2."""
    return unit_of(cell) * np.array(supercell)[:, None]


def atoms_in(supercell: tuple[int, int], cell: Cell) -> int:
    """Number of atoms of a pristine sheet of nx x ny cells."""
    (a, b), (c, d) = periods_of(supercell, cell).tolist()
    return 2 * (a * d - b * c)


def unstrained_lengths(lengths: np.ndarray, supercell: np.ndarray) -> np.ndarray:
    """Lengths (2,) of nx x ny hexagonal or chiral cells in lattice constants, from those (2,) of a strained one.

    A period n a1 + m a2 is sqrt(n^2 + nm + m^2) lattice constants long; the nearest such number is taken.
    """
    square = np.mean((lengths / supercell) ** 2)
    n, m = np.meshgrid(*2 * [np.arange(math.ceil(1.5 * math.sqrt(square)) + 1)])
    possible = np.unique(n**2 + n * m + m**2)[1:]
    return supercell * math.sqrt(possible[np.abs(possible - square).argmin()])


def heights(vectors: np.ndarray) -> np.ndarray:
    """Distances (2,) of the opposite sides of a cell with periods `vectors` (2, 2): along the first, the second."""
    return abs(np.linalg.det(vectors)) / np.linalg.norm(vectors, axis=1)[::-1]


def lattice_points(periods: np.ndarray) -> np.ndarray:
    """Whole numbers (N, 2) of a1 and a2 of all lattice points in a cell with whole `periods` (2, 2); row by row."""
    (a, b), (c, d) = periods.tolist()
    area = a * d - b * c
    corners = np.array([(0, 0), (a, b), (c, d), (a + c, b + d)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    points = np.array([(i, j) for j in range(low[1], high[1] + 1) for i in range(low[0], high[0] + 1)])
    # Fractional coordinates times the area, in whole numbers: no atom is lost or doubled at an edge.
    fractions = points @ np.array([[d, -b], [-c, a]])
    return points[((fractions >= 0) & (fractions < area)).all(axis=1)]


def periodic_offset(points: np.ndarray, centre: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Nearest-image vectors (N, 2) from `centre` to `points` (N, 2) for the periods `vectors` (2, 2)."""
    offset = points - centre
    offset = offset - np.round(offset @ np.linalg.inv(vectors)) @ vectors
    nearest = np.linalg.norm(offset, axis=1)
    found = offset.copy()
    # In an oblique cell the nearest image may be one further.
    for step in product((-1, 0, 1), repeat=2):
        image = offset + np.array(step) @ vectors
        distance = np.linalg.norm(image, axis=1)
        closer = distance < nearest - 1e-9
        found[closer], nearest[closer] = image[closer], distance[closer]
    return found


def along_x(vectors: np.ndarray) -> np.ndarray:
    """Rotation (2, 2) that lays the first of the periods `vectors` (2, 2) along x: rows r become r @ it."""
    x, y = vectors[0] / np.linalg.norm(vectors[0])
    return np.array([[x, -y], [y, x]])
