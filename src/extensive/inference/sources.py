"""Where atoms come from when a sheet is too large to hold: anything that can give the atoms of a band in y.

A source has `cell` (Lx, Ly) in Angstrom, `fingerprint` (what a checkpoint depends on) and
`atoms_between(y_low, y_high)`, the atoms with y_low <= y < y_high, periodic images included at their shifted
y: positions (N, 2) float64 with 0 <= x < Lx, and atomic numbers (N,). extensive.structures.sheet generates
such sheets.
"""

import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from extensive.inference.xyz import XYZHeader, read_header, read_in_chunks
from extensive.io import digest

ROW_DTYPE = np.dtype([("y", "f8"), ("x", "f8"), ("number", "u1")])


class Source(Protocol):
    """What the streamed evaluation asks of a sheet."""

    cell: tuple[float, float]
    fingerprint: str

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        ...


def _band(y_low: float, y_high: float, length: float):
    """Parts of the band as (low, high, shift) with 0 <= low < high <= length, one for each periodic image."""
    first, last = int(np.floor(y_low / length)), int(np.ceil(y_high / length))
    for image in range(first, last):
        low, high = max(y_low - image * length, 0.0), min(y_high - image * length, length)
        if low < high:
            yield low, high, image * length


class AtomsSource:
    """A structure in memory, sorted by y once."""

    def __init__(self, atoms: Atoms) -> None:
        lengths = np.diag(atoms.cell)[:2]
        self.cell = (float(lengths[0]), float(lengths[1]))
        positions = np.mod(atoms.positions[:, :2], lengths)
        # np.mod of a tiny negative number rounds up to the length itself.
        positions[positions >= lengths] = 0.0
        self.order = np.argsort(positions[:, 1], kind="stable")
        self._positions = positions[self.order]
        self._numbers = atoms.numbers[self.order].astype(np.uint8)
        self.fingerprint = digest([list(self.cell), len(atoms), float(positions.sum()), int(atoms.numbers.sum())])

    def indices_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices (N,) in order of y, and shifts of y (N,), of the atoms of the band."""
        y = self._positions[:, 1]
        parts, shifts = [np.empty(0, np.int64)], [np.empty(0)]
        for low, high, shift in _band(y_low, y_high, self.cell[1]):
            part = np.arange(*np.searchsorted(y, [low, high]))
            parts.append(part)
            shifts.append(np.full(len(part), shift))
        return np.concatenate(parts), np.concatenate(shifts)

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        index, shift = self.indices_between(y_low, y_high)
        positions = self._positions[index]
        positions[:, 1] += shift
        return positions, self._numbers[index]


class RepeatedSource:
    """nx x ny copies of a structure in memory, never held whole."""

    def __init__(self, atoms: Atoms, nx: int, ny: int) -> None:
        self._cell = AtomsSource(atoms)
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
    removes it). Raises InputError naming the file and line for what is not an orthogonal sheet in extended
    XYZ.
    """

    def __init__(self, path: str | Path, band_A: float = 20.0, chunk_atoms: int = 1_000_000) -> None:
        self._header: XYZHeader = read_header(path)
        self.cell = self._header.cell
        self.fingerprint = digest([str(Path(path).resolve()), Path(path).stat().st_size, Path(path).stat().st_mtime_ns])
        self._folder = tempfile.TemporaryDirectory(prefix="extensive-sheet-")
        # Few enough files that each chunk leaves long runs in each.
        self._n_bands = int(np.clip(self.cell[1] / band_A, 1, 4096))
        self._band_A = self.cell[1] / self._n_bands
        for positions, numbers in read_in_chunks(path, self._header, chunk_atoms):
            self._sort_in(positions, numbers)

    def _sort_in(self, positions: np.ndarray, numbers: np.ndarray) -> None:
        wrapped = np.mod(positions, self.cell)
        wrapped[wrapped >= np.asarray(self.cell)] = 0.0
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
        for low, high, shift in _band(y_low, y_high, self.cell[1]):
            for band in range(int(low / self._band_A), min(int(high / self._band_A) + 1, self._n_bands)):
                if not self._file(band).is_file():
                    continue
                rows = np.fromfile(self._file(band), ROW_DTYPE)
                rows = rows[(rows["y"] >= low) & (rows["y"] < high)]
                positions.append(np.stack([rows["x"], rows["y"] + shift], axis=1))
                numbers.append(rows["number"])
        return np.concatenate(positions), np.concatenate(numbers)

    def close(self) -> None:
        """Remove the sorted copy."""
        self._folder.cleanup()
