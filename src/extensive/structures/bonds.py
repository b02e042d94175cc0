"""Bonds of a sheet in its plane: how long, how near the closest atoms, and which way they point."""

import math
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

# A bond is a pair up to this factor beyond the median distance to the nearest neighbour.
BOND_FACTOR = 1.35
# Smaller cells are repeated, so that no pair is met through two images at once.
SMALLEST_BOX_A = 8.0
NEIGHBOURS = 7
# Nearer than this, two atoms are one by mistake, whatever the model.
OVERLAP_A = 0.6


class Bonds(NamedTuple):
    """Bonds of a sheet in its plane."""

    closest: float  # distance of the closest pair, Angstrom
    mean: float  # mean bond length, Angstrom
    direction: float  # mean of cos 6 theta, theta from x: -1 for a honeycomb with zigzag rows along x, 1 along y


def bonds(atoms: Atoms) -> Bonds:
    """Bonds of a sheet; (inf, nan, nan) for a lone atom."""
    cell = np.diag(np.asarray(atoms.cell))[:2]
    repeats = np.maximum(1, np.ceil(SMALLEST_BOX_A / cell)).astype(int)
    shifts = np.array([[i, j] for i in range(repeats[0]) for j in range(repeats[1])]) * cell
    box = cell * repeats
    positions = np.mod((atoms.positions[None, :, :2] + shifts[:, None]).reshape(-1, 2), box)
    # np.mod of a tiny negative number rounds up to the length itself.
    positions = np.where(positions >= box, 0.0, positions)
    count = min(NEIGHBOURS, len(positions))
    if count < 2:
        return Bonds(math.inf, math.nan, math.nan)
    distances, others = cKDTree(positions, boxsize=box).query(positions[: len(atoms)], k=count)
    distances, others = distances[:, 1:], others[:, 1:]
    nearest = distances[:, 0]
    bonded = distances <= BOND_FACTOR * np.median(nearest)
    steps = positions[others] - positions[: len(atoms), None]  # (N, K, 2)
    steps -= box * np.round(steps / box)
    angles = np.arctan2(steps[..., 1], steps[..., 0])[bonded]
    return Bonds(float(nearest.min()), float(distances[bonded].mean()), float(np.cos(6.0 * angles).mean()))
