"""What a model has seen: measured on its training set, kept in its metadata, asked by the calculator.

A network answers any image; only near what it was trained on does the answer mean anything. Three numbers of a
sheet say how near: the mean length of its bonds (its strain), the distance of its closest atoms, and which way its
bonds point.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.images.placement import angles_of
from extensive.structures.bonds import OVERLAP_A, Bonds, summary
from extensive.structures.frame import Frame, frame_of

# How far beyond the training set's range a sheet may lie: half a per cent of bond, and a tenth of the closest.
BOND_MARGIN = 0.005
CLOSEST_MARGIN = 0.1
# And of the mean of cos 6 theta, which is -1 or 1 for a honeycomb that lies as its cell does.
DIRECTION_MARGIN = 0.2
# Cells a little smaller than those of training round a little worse.
ROUNDING_MARGIN = 1.05


def knows_exchange(symmetry: str, metadata: Mapping[str, Any]) -> bool:
    """Whether a network met sheets with x and y exchanged, or is bound to that symmetry; True if nothing is known."""
    if symmetry == "square" or "training" not in metadata:
        return True
    augmentation = metadata["training"].get("augmentation")
    return augmentation is not None and bool(augmentation.get("transpose", True))


def known_zigzag(symmetry: str, metadata: Mapping[str, Any]) -> float | None:
    """Angle from x (radians) at which a network's sheets have their zigzag rows; None if it met them along x and y."""
    # A training that went on from other weights laid sheets as those know them, whatever it then did with them.
    if (laid := metadata.get("zigzag_rad")) is not None:
        return float(laid)
    directions = metadata.get("bond_direction_range")
    if knows_exchange(symmetry, metadata) or not directions:
        return None
    low, high = directions
    if low > 0.0:
        return math.pi / 2.0
    return 0.0 if high < 0.0 else None


def largest_pitch(multiple_px: int, pixel_size_A: float, metadata: Mapping[str, Any]) -> float | None:
    """How far pixels of an ednn's training were off their size, as a logarithm; None where its metadata do not say."""
    if "cell_range_A" not in metadata:
        return None
    drawn = (metadata["training"]["augmentation"] or {}).get("pitch", 0.0)
    # Rounding a training cell to whole pixels moved the pitch by up to half a step, and augmentation by more.
    step = min(0.5, 0.5 * multiple_px * pixel_size_A / min(metadata["cell_range_A"][0]))
    # Rounded down, pixels are larger by a little more than they are smaller when rounded up.
    return max(math.log1p(drawn + step), -math.log1p(-ROUNDING_MARGIN * step))


def measure(structures: Sequence[Atoms], zigzag: float | None = None) -> dict[str, Any]:
    """What goes into a model's metadata: `bond_range_A` and `bond_direction_range`, each [least, largest] mean of a
    sheet, `closest_A`, and `zigzag_rad`.

    `zigzag`: angle from x (radians) that the training laid zigzag rows at, as `angles_of` takes it.
    """
    frames = [frame_of(atoms) for atoms in structures]
    found = np.array([summary(frame.bonds, angles_of(frame, zigzag)[0]) for frame in frames])
    laid = {"zigzag_rad": zigzag}
    if not np.isfinite(found).all():
        return {"bond_range_A": None, "closest_A": None, "bond_direction_range": None, **laid}
    low, high = found.min(axis=0).round(4).tolist(), found.max(axis=0).round(4).tolist()
    return {"bond_range_A": [low[1], high[1]], "closest_A": low[0], "bond_direction_range": [low[2], high[2]], **laid}


def check_bonds(
    frame: Frame,
    angle: float,
    metadata: Mapping[str, Any],
    name: str,
    extrapolate: bool = False,
    both_ways: bool = True,
) -> None:
    """Raise InputError for a sheet outside what the model of this metadata was trained on.

    `angle`: rotation of the sheet (radians) for the network. `both_ways`: the model takes a sheet whose x and y
    are exchanged as well as the sheet itself. Overlapping atoms are always refused; with `extrapolate` nothing else is.
    """
    check_summary(summary(frame.bonds, angle), metadata, name, extrapolate, both_ways)


def check_summary(
    bonds: Bonds, metadata: Mapping[str, Any], name: str, extrapolate: bool = False, both_ways: bool = True
) -> None:
    """The same of the bonds of a sheet as it lies on its grid."""
    closest, mean, direction = bonds
    if closest < OVERLAP_A:
        raise InputError(f"{name}: two atoms are {closest:.3f} A apart; atoms overlap, or lengths are not in Angstrom")
    if extrapolate:
        return
    # Models of other origin state none of them.
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
    directions = metadata.get("bond_direction_range")
    if directions and not both_ways:
        low, high = directions[0] - DIRECTION_MARGIN, directions[1] + DIRECTION_MARGIN
        if not low <= direction <= high:
            found = f"mean of cos 6 theta {direction:.2f}; in training {directions[0]:.2f} to {directions[1]:.2f}"
            raise InputError(
                f"{name}: its bonds point several ways, or otherwise than in training ({found}); grain boundaries and"
                " twisted domains need a network that learned all directions"
            )
