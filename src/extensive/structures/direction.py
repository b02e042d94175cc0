"""Which way a honeycomb lies: the direction of its bonds, and of its zigzag rows, in a plane with any cell."""

from __future__ import annotations

import math

import numpy as np

from extensive.structures.bonds import order

# Mean of exp(6 i theta) below which bonds point no one way: a lattice of another kind, or several grains.
LEAST_ORDER = 0.5
# How far (in lattice vectors) a cell vector may lie from a lattice point of the honeycomb that its bonds describe.
LARGEST_MISFIT = 0.25
# Where the cell fits no honeycomb, its direction is rounded to this, so that it does not follow every displacement.
COARSE_ANGLE = math.radians(0.5)


def honeycomb_angle(steps: np.ndarray, vectors: np.ndarray) -> float | None:
    """Angle (radians, modulo 60 degrees) from x to a zigzag row, by bonds (M, 2); None where they point no one way.

    Bonds say which lattice points of the honeycomb the period `vectors` (2, 2) are; the angle then is that of the
    lattice with these points, strained as the cell is, less its strain. It is a function of the cell alone: atoms that
    move do not turn it.
    """
    mean = order(steps)
    if abs(mean) < LEAST_ORDER:
        return None
    bond_angle = np.angle(mean) / 6.0
    rough = float(bond_angle + math.pi / 6.0)
    fitted = _of_cell(steps, bond_angle, vectors)
    if fitted is not None:
        return fitted
    base = math.atan2(vectors[0, 1], vectors[0, 0])
    return base + COARSE_ANGLE * round((rough - base) / COARSE_ANGLE)


def _of_cell(steps: np.ndarray, bond_angle: float, vectors: np.ndarray) -> float | None:
    """The angle by the cell; None where its vectors are no lattice points of the honeycomb that the bonds describe."""
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    sector = np.rint((angles - bond_angle) / (math.pi / 3.0)).astype(int) % 6
    opposite = sector >= 3
    means = [np.where(opposite[chosen, None], -steps[chosen], steps[chosen]).mean(axis=0)
             for k in range(3) if (chosen := sector % 3 == k).any()]  # fmt: skip
    if len(means) < 3:
        return None
    # Bonds of the two sublattices are opposite: sums of neighbouring directions are lattice vectors, 60 degrees apart.
    lattice = np.array([means[0] + means[1], means[1] + means[2]])
    numbers = vectors @ np.linalg.inv(lattice)
    whole = np.rint(numbers)
    if np.abs(numbers - whole).max() > LARGEST_MISFIT or abs(np.linalg.det(whole)) < 0.5:
        return None
    exact = np.linalg.solve(whole, vectors)  # (2, 2) | lattice vectors of the strained honeycomb
    ideal = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]])
    # exact = ideal (R F)^T: the rotation of its polar decomposition
    gradient = np.linalg.solve(ideal, exact).T
    return math.atan2(gradient[1, 0] - gradient[0, 1], gradient[0, 0] + gradient[1, 1])
