"""Bonds of a sheet in its plane: how long, how near the closest atoms, and which way they point.

Nothing is known of the sheet here, not even its elements, and no bond must be met that is none: directions are taken of
them. Where a honeycomb is made, its lattice constant says what a bond is (`lattices`); where neighbours are counted,
covalent radii do (`training.charges`).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

# A bond is a pair up to this factor beyond the median distance to the nearest neighbour.
BOND_FACTOR = 1.35
# Periodic images are looked for as far as this; no bond is so long.
REACH_A = 5.0
SEARCHED = 7  # neighbours that are asked for, the atom itself among them
# Nearer than this, two atoms are one by mistake, whatever the model.
OVERLAP_A = 0.6


class BondList(NamedTuple):
    """Bonds of a sheet of N atoms in its plane, each met from both of its ends."""

    nearest: np.ndarray  # (N,) | distance of each atom's nearest neighbour, Angstrom; inf if none is in reach
    steps: np.ndarray  # (M, 2) | from atom to neighbour, Angstrom


class Bonds(NamedTuple):
    """What bonds say of a sheet."""

    closest: float  # distance of the closest pair, Angstrom; inf for a lone atom
    mean: float  # mean bond length, Angstrom
    direction: float  # mean of cos 6 theta, theta from x: -1 for a honeycomb with zigzag rows along x, 1 along y


def bonds_in_plane(positions: np.ndarray, vectors: np.ndarray) -> BondList:
    """Bonds of atoms at `positions` (N, 2) with period `vectors` (2, 2), rows; Angstrom."""
    return bonds_of_first(with_images(positions, vectors, REACH_A), len(positions))


def bonds_of_first(everything: np.ndarray, n_atoms: int) -> BondList:
    """Bonds of the first `n_atoms` of `everything` (K, 2), which has all that lies within REACH_A of them; Angstrom."""
    wrapped = everything[:n_atoms]
    none = BondList(np.full(n_atoms, math.inf), np.empty((0, 2)))
    count = min(SEARCHED, len(everything))
    if count < 2:
        return none
    distances, others = cKDTree(everything).query(wrapped, k=count, distance_upper_bound=REACH_A)
    distances, others = distances[:, 1:], others[:, 1:]
    nearest = distances[:, 0]
    found = np.isfinite(nearest)
    if not found.any():
        return none
    bonded = distances <= BOND_FACTOR * np.median(nearest[found])
    first = np.broadcast_to(np.arange(len(wrapped))[:, None], others.shape)[bonded]
    return BondList(nearest, everything[others[bonded]] - wrapped[first])


def with_images(positions: np.ndarray, vectors: np.ndarray, reach_A: float) -> np.ndarray:
    """Atoms (N, 2) brought into the cell, followed by their periodic images within `reach_A` of it."""
    inverse = np.linalg.inv(vectors)
    fractions = positions @ inverse
    fractions = fractions - np.floor(fractions)
    # What the reach is worth of each period, across the other.
    margins = reach_A * np.linalg.norm(inverse, axis=0)
    images = [fractions]
    turns = np.ceil(margins).astype(int)
    for i in range(-turns[0], turns[0] + 1):
        for j in range(-turns[1], turns[1] + 1):
            if i or j:
                shifted = fractions + (i, j)
                inside = ((shifted > -margins) & (shifted < 1.0 + margins)).all(axis=1)
                images.append(shifted[inside])
    return np.concatenate(images) @ vectors


def order(steps: np.ndarray) -> complex:
    """Mean of exp(6 i theta) over bonds (M, 2), theta from x: -1 for a honeycomb with zigzag rows along x."""
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    return complex(np.exp(6j * angles).mean()) if len(steps) else 0j


def summary(found: BondList, angle: float = 0.0) -> Bonds:
    """What bonds say of a sheet that is rotated by `angle` radians; (inf, nan, nan) for a lone atom."""
    if not len(found.steps):
        return Bonds(float(found.nearest.min()), math.nan, math.nan)
    direction = (order(found.steps) * np.exp(6j * angle)).real
    return Bonds(float(found.nearest.min()), float(np.linalg.norm(found.steps, axis=1).mean()), float(direction))
