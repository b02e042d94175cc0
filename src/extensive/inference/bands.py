"""Atoms of a sheet in bands along y: cut out of a period, sorted into files on disk, and what all their bonds say."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from extensive.images.oblique import AT_BOUNDARY, SkewAxes
from extensive.structures.bonds import REACH_A, BondList, Bonds, bonds_of_first
from extensive.structures.direction import LEAST_ORDER, honeycomb_angle

# Bonds are looked at in blocks of about so many Angstrom, with the atoms around them. Along skew axes these are further
# off than their distance: in shortest periods, 60 degrees apart at least, by 1 / sin 60 degrees.
BOND_BLOCK_A, SKEW_MARGIN = 40.0, 1.2
# Bonds are added up by their direction, in degrees.
DIRECTIONS = 360
ROW_DTYPE = np.dtype([("y", "f8"), ("x", "f8"), ("number", "u1")])


def wrapped(positions: np.ndarray, cell: tuple[float, float] | np.ndarray, axes: SkewAxes | None) -> np.ndarray:
    """Positions (N, 2) as coordinates within the period: a rectangle `cell`, Angstrom, or that of skew axes."""
    if axes is not None:
        return axes.wrapped(positions)
    inside = np.mod(positions, cell)
    # What rounding leaves below a boundary is at it: some periods further, the sum would be on its other side.
    inside[inside >= np.asarray(cell) * (1.0 - AT_BOUNDARY)] = 0.0
    return inside


def parts_of(y_low: float, y_high: float, length: float) -> Iterator[tuple[float, float, int]]:
    """Parts of a band as (low, high, period) with 0 <= low < high <= length, one for each period that it meets."""
    first, last = int(np.floor(y_low / length)), int(np.ceil(y_high / length))
    for image in range(first, last):
        low, high = max(y_low - image * length, 0.0), min(y_high - image * length, length)
        if low < high:
            yield low, high, image


def shifted(
    positions: np.ndarray, period: np.ndarray | int, cell: tuple[float, float], axes: SkewAxes | None
) -> np.ndarray:
    """Positions (N, 2) in the periods of these numbers, in place: up by so many cells and, with a twist, along x."""
    positions[:, 1] += period * cell[1]
    if axes is not None:
        x = np.mod(positions[:, 0] + period * axes.twist_A, cell[0])
        positions[:, 0] = np.where(x >= cell[0], 0.0, x)
    return positions


@dataclass
class BondSums:
    """Sums over bonds that are met block by block, each from both of its ends."""

    closest: float = math.inf  # distance of the closest pair, Angstrom
    length: float = 0.0  # Angstrom
    order: complex = 0j  # of exp(6 i theta), theta from x
    counts: np.ndarray = field(default_factory=lambda: np.zeros(DIRECTIONS))
    steps: np.ndarray = field(default_factory=lambda: np.zeros((DIRECTIONS, 2)))  # of each direction, Angstrom

    def add(self, found: BondList) -> None:
        """Count the bonds of a block."""
        angles = np.arctan2(found.steps[:, 1], found.steps[:, 0])
        direction = ((angles + np.pi) * (DIRECTIONS / (2.0 * np.pi))).astype(np.int64) % DIRECTIONS
        self.closest = min(self.closest, float(found.nearest.min(initial=math.inf)))
        self.length += float(np.linalg.norm(found.steps, axis=1).sum())
        self.order += complex(np.exp(6j * angles).sum())
        self.counts += np.bincount(direction, minlength=DIRECTIONS)
        for axis in range(2):
            self.steps[:, axis] += np.bincount(direction, found.steps[:, axis], DIRECTIONS)

    def summary(self, angle: float) -> Bonds:
        """What they say of the sheet rotated by `angle` radians; (inf, nan, nan) for a lone atom."""
        count = int(self.counts.sum())
        if not count:
            return Bonds(self.closest, math.nan, math.nan)
        return Bonds(self.closest, self.length / count, float((self.order * np.exp(6j * angle)).real) / count)

    def honeycomb(self, vectors: np.ndarray) -> float | None:
        """Angle (radians, modulo 60 degrees) from x to a zigzag row, as `Frame.honeycomb`; periods (2, 2)."""
        if not self.counts.any() or abs(self.order) < LEAST_ORDER * self.counts.sum():
            return None
        met = self.counts > 0
        counts, steps = self.counts[met], self.steps[met]
        turned = np.arctan2(steps[:, 1], steps[:, 0]) - np.angle(self.order) / 6.0
        sector = np.rint(turned / (math.pi / 3.0)).astype(int) % 6
        steps = np.where(sector[:, None] >= 3, -1.0, 1.0) * steps
        # The angle is by the mean bond of each of a honeycomb's three directions: so many stand for all.
        chosen = [sector % 3 == direction for direction in np.unique(sector % 3)]
        means = [steps[which].sum(axis=0) / counts[which].sum() for which in chosen]
        return honeycomb_angle(np.array(means), vectors)


class Bands:
    """Atoms within a period (`cell`, Angstrom, along x and y or skew `axes`) in a folder, a file for each band in y."""

    def __init__(self, folder: Path, cell: tuple[float, float], axes: SkewAxes | None, band_A: float) -> None:
        folder.mkdir()
        self.cell, self.axes, self._folder = cell, axes, folder
        # Few enough files that each chunk leaves long runs in each.
        self._count = int(np.clip(cell[1] / band_A, 1, 4096))
        self._band_A = cell[1] / self._count

    def add(self, positions: np.ndarray, numbers: np.ndarray) -> None:
        """Sort in atoms at `positions` (N, 2), Angstrom, of any period."""
        inside = wrapped(positions, self.cell, self.axes)
        band = np.minimum((inside[:, 1] / self._band_A).astype(np.int64), self._count - 1)
        order = np.argsort(band, kind="stable")
        rows = np.empty(len(order), ROW_DTYPE)
        rows["x"], rows["y"], rows["number"] = inside[order, 0], inside[order, 1], numbers[order]
        edges = np.searchsorted(band[order], np.arange(self._count + 1))
        for index in np.flatnonzero(np.diff(edges)):
            with self._file(index).open("ab") as stream:
                rows[edges[index] : edges[index + 1]].tofile(stream)

    def _file(self, band: int) -> Path:
        return self._folder / f"{band:05d}.bin"

    def _rows(self, band: int) -> np.ndarray:
        return np.fromfile(self._file(band), ROW_DTYPE) if self._file(band).is_file() else np.empty(0, ROW_DTYPE)

    def between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (N, 2) and numbers (N,) of a band, periodic images included."""
        positions, numbers = [np.empty((0, 2))], [np.empty(0, np.uint8)]
        for low, high, period in parts_of(y_low, y_high, self.cell[1]):
            for band in range(int(low / self._band_A), min(int(high / self._band_A) + 1, self._count)):
                rows = self._rows(band)
                rows = rows[(rows["y"] >= low) & (rows["y"] < high)]
                positions.append(shifted(np.stack([rows["x"], rows["y"]], axis=1), period, self.cell, self.axes))
                numbers.append(rows["number"])
        return np.concatenate(positions), np.concatenate(numbers)

    def emptied(self, n_atoms: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions (n, 2), Angstrom, and numbers (n,) of all atoms, about `n_atoms` at a time; their files go."""
        held: list[np.ndarray] = []
        for band in range(self._count):
            held.append(self._rows(band))
            self._file(band).unlink(missing_ok=True)
            if sum(map(len, held)) >= n_atoms or band == self._count - 1:
                rows, held = np.concatenate(held), []
                along = np.stack([rows["x"], rows["y"]], axis=1)
                yield (along if self.axes is None else along @ self.axes.units.T), rows["number"]

    def bonds(self) -> BondSums:
        """Bonds of all atoms, one block of them in memory at a time."""
        sums = BondSums()
        blocks = max(1, round(self.cell[1] / BOND_BLOCK_A))
        edges = np.linspace(0.0, self.cell[1], blocks + 1)
        margin = SKEW_MARGIN * REACH_A
        for low, high in itertools.pairwise(edges):
            along = self.between(low - margin, high + margin)[0]
            inside = (along[:, 1] >= low) & (along[:, 1] < high)
            parts = [along[inside], along[~inside]]
            for image in range(1, int(np.ceil(margin / self.cell[0])) + 1):
                shift = image * self.cell[0]
                parts.append(along[along[:, 0] - shift >= -margin] - (shift, 0.0))
                parts.append(along[along[:, 0] + shift < self.cell[0] + margin] + (shift, 0.0))
            places = np.concatenate(parts)
            sums.add(bonds_of_first(places if self.axes is None else places @ self.axes.units.T, len(parts[0])))
        return sums
