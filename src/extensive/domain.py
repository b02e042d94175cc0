"""What a model has seen: measured on its training set, kept in its metadata, asked by the calculator.

A network answers any image; only near what it was trained on does the answer mean anything. Two numbers of a
sheet say how near: the mean length of its bonds (its strain) and the distance of its closest atoms.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from extensive.errors import InputError

# A bond is a pair up to this factor beyond the median distance to the nearest neighbour.
BOND_FACTOR = 1.35
# Smaller cells are repeated, so that no pair is met through two images at once.
SMALLEST_BOX_A = 8.0
NEIGHBOURS = 7
# Nearer than this, two atoms are one by mistake, whatever the model.
OVERLAP_A = 0.6
# How far beyond the training set's range a sheet may lie: half a per cent of bond, and a tenth of the closest.
BOND_MARGIN = 0.005
CLOSEST_MARGIN = 0.1


def bonds(atoms: Atoms) -> tuple[float, float]:
    """(closest distance, mean bond length), Angstrom, of a sheet in its plane; inf and nan for a lone atom."""
    cell = np.diag(np.asarray(atoms.cell))[:2]
    repeats = np.maximum(1, np.ceil(SMALLEST_BOX_A / cell)).astype(int)
    shifts = np.array([[i, j] for i in range(repeats[0]) for j in range(repeats[1])]) * cell
    box = cell * repeats
    positions = np.mod((atoms.positions[None, :, :2] + shifts[:, None]).reshape(-1, 2), box)
    # np.mod of a tiny negative number rounds up to the length itself.
    positions = np.where(positions >= box, 0.0, positions)
    count = min(NEIGHBOURS, len(positions))
    if count < 2:
        return math.inf, math.nan
    distances = cKDTree(positions, boxsize=box).query(positions[: len(atoms)], k=count)[0][:, 1:]
    nearest = distances[:, 0]
    bonded = distances[distances <= BOND_FACTOR * np.median(nearest)]
    return float(nearest.min()), float(bonded.mean())


def measure(structures: Sequence[Atoms]) -> dict[str, Any]:
    """What goes into a model's metadata: `bond_range_A` [least, largest mean bond] and `closest_A`."""
    found = np.array([bonds(atoms) for atoms in structures])
    if not np.isfinite(found).all():
        return {"bond_range_A": None, "closest_A": None}
    return {
        "bond_range_A": [round(float(found[:, 1].min()), 4), round(float(found[:, 1].max()), 4)],
        "closest_A": round(float(found[:, 0].min()), 4),
    }


def check_bonds(atoms: Atoms, metadata: Mapping[str, Any], name: str, extrapolate: bool = False) -> None:
    """Raise InputError for a sheet outside what the model of this metadata was trained on.

    Overlapping atoms are always refused; with `extrapolate` nothing else is.
    """
    closest, mean = bonds(atoms)
    if closest < OVERLAP_A:
        raise InputError(f"{name}: two atoms are {closest:.3f} A apart; atoms overlap, or lengths are not in Angstrom")
    if extrapolate:
        return
    # Models of other origin state neither.
    least, bond_range = metadata.get("closest_A"), metadata.get("bond_range_A")
    if bond_range and not bond_range[0] * (1 - BOND_MARGIN) <= mean <= bond_range[1] * (1 + BOND_MARGIN):
        raise InputError(
            f"{name}: the mean bond is {mean:.3f} A; the model was trained on lattices with"
            f" {bond_range[0]:.3f} to {bond_range[1]:.3f} A"
        )
    if least and closest < least * (1 - CLOSEST_MARGIN):
        raise InputError(
            f"{name}: two atoms are {closest:.3f} A apart; in training none were nearer than {least:.3f} A"
        )
