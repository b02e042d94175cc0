"""Where atoms come from when a sheet is too large to hold: anything that can give the atoms of a band in y.

A source has `cell` (Lx, Ly) in Angstrom, `fingerprint` (what a checkpoint depends on) and
`atoms_between(y_low, y_high)`, the atoms with y_low <= y < y_high, periodic images included at their shifted
y: positions (N, 2) float64 with 0 <= x < Lx, and atomic numbers (N,). extensive.structures.sheet generates
such sheets. Where pixels are sheared, x and y are along their rows and columns: `axes`, which is None elsewhere.
"""

import itertools
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.images.oblique import SkewAxes, torus_of
from extensive.images.placement import Grid, Placed, aligned, place
from extensive.inference.xyz import XYZHeader, read_header, read_in_chunks
from extensive.io import digest
from extensive.structures.bonds import REACH_A, Bonds, bonds_of_first
from extensive.structures.frame import FLAT_TOLERANCE_A, Frame, frame_of

# Bonds are looked at in blocks of about so many Angstrom, with the atoms around them. Where pixels are sheared by a few
# per cent, these are further off along y than their distance.
BOND_BLOCK_A, SKEW_MARGIN = 40.0, 1.2
ROW_DTYPE = np.dtype([("y", "f8"), ("x", "f8"), ("number", "u1")])


class Source(Protocol):
    """What the streamed evaluation asks of a sheet."""

    cell: tuple[float, float]
    axes: SkewAxes | None
    fingerprint: str

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        ...


def _band(y_low: float, y_high: float, length: float):
    """Parts of the band as (low, high, period) with 0 <= low < high <= length, one for each period that it meets."""
    first, last = int(np.floor(y_low / length)), int(np.ceil(y_high / length))
    for image in range(first, last):
        low, high = max(y_low - image * length, 0.0), min(y_high - image * length, length)
        if low < high:
            yield low, high, image


class AtomsSource:
    """A structure in memory, sorted by y once. Raises InputError for Atoms whose cell is not along x and y: a potential
    lays those (`Potential.lay`).
    """

    def __init__(self, atoms: Atoms | Placed) -> None:
        placed = atoms if isinstance(atoms, Placed) else aligned(atoms)
        self.axes: SkewAxes | None = None
        self.copies = placed.copies  # cells of the user's sheet in this one
        if placed.upright:
            lengths = placed.cell
            self.along = placed.positions  # (N, 2) | along rows and columns, in the atoms' order
            positions = np.mod(placed.positions, lengths)
            # np.mod of a tiny negative number rounds up to the length itself.
            positions[positions >= lengths] = 0.0
            self.cell = (float(lengths[0]), float(lengths[1]))
        else:
            self.axes = SkewAxes(torus_of(placed.periods), placed.pixels_A)
            self.along = positions = self.axes.wrapped(placed.positions)
            self.cell = self.axes.cell
        self.order = np.argsort(positions[:, 1], kind="stable")
        self._positions = positions[self.order]
        self._numbers = placed.numbers[self.order].astype(np.uint8)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of cell and atoms."""
        sums = float(self._positions.sum()), int(self._numbers.sum(dtype=np.int64))
        return digest([list(self.cell), len(self._numbers), *sums])

    def indices_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices (N,) in order of y, and numbers of the periods (N,), of the atoms of the band."""
        y = self._positions[:, 1]
        parts, periods = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for low, high, period in _band(y_low, y_high, self.cell[1]):
            part = np.arange(*np.searchsorted(y, [low, high]))
            parts.append(part)
            periods.append(np.full(len(part), period))
        return np.concatenate(parts), np.concatenate(periods)

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        index, period = self.indices_between(y_low, y_high)
        return shifted(self._positions[index], period, self.cell, self.axes), self._numbers[index]


def shifted(
    positions: np.ndarray, period: np.ndarray | int, cell: tuple[float, float], axes: SkewAxes | None
) -> np.ndarray:
    """Positions (N, 2) in the periods of these numbers, in place: up by so many cells and, with a twist, along x."""
    positions[:, 1] += period * cell[1]
    if axes is not None:
        x = np.mod(positions[:, 0] + period * axes.twist_A, cell[0])
        positions[:, 0] = np.where(x >= cell[0], 0.0, x)
    return positions


class RepeatedSource:
    """nx x ny copies of a structure in memory, never held whole."""

    def __init__(self, atoms: Atoms, nx: int, ny: int) -> None:
        self._cell, self.axes = AtomsSource(aligned(atoms)), None
        self._nx, self._ny = nx, ny
        self.cell = (self._cell.cell[0] * nx, self._cell.cell[1] * ny)
        self.fingerprint = digest([self._cell.fingerprint, nx, ny])

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        positions, numbers = self._cell.atoms_between(y_low, y_high)
        shifts = self._cell.cell[0] * np.arange(self._nx)
        x = (positions[:, 0] + shifts[:, None]).ravel()
        y = np.broadcast_to(positions[:, 1], (self._nx, len(positions))).ravel()
        return np.stack([x, y], axis=1), np.tile(numbers, self._nx)


class FileSource:
    """One structure of a plain extended XYZ file of any size, sorted into bands on disk in one pass.

    Memory is that of one chunk of lines; the disk holds 17 bytes an atom while the source lives (`close`
    removes it). `grid_of` says of the sheet's frame, as the first chunk shows it, on which grid it is laid; without it
    only sheets in an orthogonal cell along x and y are taken. Raises InputError naming the file and line for what is no
    flat sheet in extended XYZ.
    """

    def __init__(
        self,
        path: str | Path,
        band_A: float = 20.0,
        chunk_atoms: int = 1_000_000,
        grid_of: Callable[[Frame, np.ndarray], Grid] | None = None,
    ) -> None:
        self._header: XYZHeader = read_header(path)
        self._path = path
        chunks = read_in_chunks(path, self._header, chunk_atoms)
        first = next(chunks)
        atoms = Atoms(first[1], positions=first[0], cell=self._header.cell, pbc=self._header.pbc)
        self._frame = frame_of(atoms, str(path))
        self._low = self._high = float(atoms.positions[0] @ self._frame.axes[2])
        if grid_of is not None:
            self._grid = grid_of(self._frame, atoms.numbers)
        elif self._frame.aligned:
            self._grid = Grid(0.0, np.eye(2, dtype=int))
        else:
            raise InputError(f"{path}: the cell {self._header.cell.tolist()} is not orthogonal along x and y")
        placed = self._placed(*first)
        self.axes = None if placed.upright else SkewAxes(torus_of(placed.periods), placed.pixels_A)
        self.cell = (float(placed.cell[0]), float(placed.cell[1])) if placed.upright else self.axes.cell
        self.fingerprint = digest([str(Path(path).resolve()), Path(path).stat().st_size, Path(path).stat().st_mtime_ns])
        self._folder = tempfile.TemporaryDirectory(prefix="extensive-sheet-")
        # Few enough files that each chunk leaves long runs in each.
        self._n_bands = int(np.clip(self.cell[1] / band_A, 1, 4096))
        self._band_A = self.cell[1] / self._n_bands
        for chunk in itertools.chain([first], chunks):
            placed = self._placed(*chunk)
            self._sort_in(placed.positions, placed.numbers)

    def _placed(self, positions: np.ndarray, numbers: np.ndarray) -> Placed:
        """A chunk of atoms, positions (n, 3), on the sheet's grid. Raises InputError for atoms out of the plane."""
        axes, across = self._frame.axes, self._frame.across
        if across is not None:
            turns = np.rint((positions @ axes[2] - self._low) / (across @ axes[2]))
            positions = positions - turns[:, None] * across
        heights = positions @ axes[2]
        self._low, self._high = min(self._low, float(heights.min())), max(self._high, float(heights.max()))
        if self._high - self._low > FLAT_TOLERANCE_A:
            raise InputError(
                f"{self._path}: atoms spread {self._high - self._low:.3f} A along the normal; the image knows flat"
                f" sheets only (at most {FLAT_TOLERANCE_A} A)"
            )
        in_plane = positions @ axes[:2].T if not self._frame.aligned else positions[:, :2]
        return place(replace(self._frame, positions=in_plane), numbers, self._grid)

    def _sort_in(self, positions: np.ndarray, numbers: np.ndarray) -> None:
        if self.axes is None:
            wrapped = np.mod(positions, self.cell)
            wrapped[wrapped >= np.asarray(self.cell)] = 0.0
        else:
            wrapped = self.axes.wrapped(positions)
        band = np.minimum((wrapped[:, 1] / self._band_A).astype(np.int64), self._n_bands - 1)
        order = np.argsort(band, kind="stable")
        rows = np.empty(len(order), ROW_DTYPE)
        rows["x"], rows["y"], rows["number"] = wrapped[order, 0], wrapped[order, 1], numbers[order]
        edges = np.searchsorted(band[order], np.arange(self._n_bands + 1))
        for index in np.flatnonzero(np.diff(edges)):
            with self._file(index).open("ab") as stream:
                rows[edges[index] : edges[index + 1]].tofile(stream)

    def _file(self, band: int) -> Path:
        return Path(self._folder.name) / f"{band:05d}.bin"

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        positions, numbers = [np.empty((0, 2))], [np.empty(0, np.uint8)]
        for low, high, period in _band(y_low, y_high, self.cell[1]):
            for band in range(int(low / self._band_A), min(int(high / self._band_A) + 1, self._n_bands)):
                if not self._file(band).is_file():
                    continue
                rows = np.fromfile(self._file(band), ROW_DTYPE)
                rows = rows[(rows["y"] >= low) & (rows["y"] < high)]
                positions.append(shifted(np.stack([rows["x"], rows["y"]], axis=1), period, self.cell, self.axes))
                numbers.append(rows["number"])
        return np.concatenate(positions), np.concatenate(numbers)

    def bonds(self) -> Bonds:
        """Bonds of all atoms as they lie on the grid, from the bands on disk: one block of them in memory at a time."""
        closest, length, order, count = math.inf, 0.0, 0j, 0
        blocks = max(1, round(self.cell[1] / BOND_BLOCK_A))
        edges = np.linspace(0.0, self.cell[1], blocks + 1)
        margin = SKEW_MARGIN * REACH_A
        for low, high in itertools.pairwise(edges):
            along = self.atoms_between(low - margin, high + margin)[0]
            inside = (along[:, 1] >= low) & (along[:, 1] < high)
            parts = [along[inside], along[~inside]]
            for image in range(1, int(np.ceil(margin / self.cell[0])) + 1):
                shift = image * self.cell[0]
                parts.append(along[along[:, 0] - shift >= -margin] - (shift, 0.0))
                parts.append(along[along[:, 0] + shift < self.cell[0] + margin] + (shift, 0.0))
            places = np.concatenate(parts)
            found = bonds_of_first(places if self.axes is None else places @ self.axes.units.T, len(parts[0]))
            closest = min(closest, float(found.nearest.min(initial=math.inf)))
            angles = np.arctan2(found.steps[:, 1], found.steps[:, 0])
            length += float(np.linalg.norm(found.steps, axis=1).sum())
            order += complex(np.exp(6j * angles).sum())
            count += len(angles)
        return Bonds(closest, length / count, order.real / count) if count else Bonds(closest, math.nan, math.nan)

    def close(self) -> None:
        """Remove the sorted copy."""
        self._folder.cleanup()
