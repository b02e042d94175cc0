"""Where atoms come from when a sheet is too large to hold: anything that can give the atoms of a band in y.

A source has `cell` (Lx, Ly) in Angstrom, `fingerprint` (what a checkpoint depends on) and
`atoms_between(y_low, y_high)`, the atoms with y_low <= y < y_high, periodic images included at their shifted
y: positions (N, 2) float64 with 0 <= x < Lx, and atomic numbers (N,). extensive.structures.sheet generates
such sheets. Where pixels are sheared, x and y are along their rows and columns: `axes`, which is None elsewhere.
"""

import hashlib
import itertools
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.images.oblique import SkewAxes, Torus, torus_of
from extensive.images.placement import Grid, Placed, aligned, place
from extensive.inference.bands import Bands, BondSums, parts_of, shifted, wrapped
from extensive.inference.xyz import XYZHeader, read_header, read_in_chunks
from extensive.io import digest
from extensive.structures.bonds import Bonds
from extensive.structures.frame import FLAT_TOLERANCE_A, Frame, frame_of, shortest


class Source(Protocol):
    """What the streamed evaluation asks of a sheet."""

    cell: tuple[float, float]
    axes: SkewAxes | None
    fingerprint: str

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        ...


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
            self.cell = (float(lengths[0]), float(lengths[1]))
            positions = wrapped(placed.positions, self.cell, None)
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
        atoms = hashlib.sha256(self._positions.tobytes() + self._numbers.tobytes())
        axes = self.axes and [*self.axes.torus.shape, self.axes.torus.twist, self.axes.pixels_A.tolist()]
        return digest([self.cell, axes, atoms.hexdigest()])

    def indices_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices (N,) in order of y, and numbers of the periods (N,), of the atoms of the band."""
        y = self._positions[:, 1]
        parts, periods = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for low, high, period in parts_of(y_low, y_high, self.cell[1]):
            part = np.arange(*np.searchsorted(y, [low, high]))
            parts.append(part)
            periods.append(np.full(len(part), period))
        return np.concatenate(parts), np.concatenate(periods)

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        index, period = self.indices_between(y_low, y_high)
        return shifted(self._positions[index], period, self.cell, self.axes), self._numbers[index]


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


@dataclass(frozen=True)
class FrameOfFile(Frame):
    """The frame of a sheet of which some atoms are held, the direction of its honeycomb being that of all."""

    honeycomb: float | None = None


class FileSource:
    """One structure of a plain extended XYZ file of any size, its atoms in any order, sorted into bands on disk.

    Memory is that of one chunk of lines; the disk holds 17 bytes an atom while the source lives (`close` removes it).
    `grid_of` says of the sheet's frame, some of its atoms (N) and its elements (K,) on which grid it is laid; without
    it only sheets in an orthogonal cell along x and y are taken. Raises InputError naming the file and line for what
    is no flat sheet in extended XYZ.
    """

    def __init__(
        self,
        path: str | Path,
        band_A: float = 20.0,
        chunk_atoms: int = 1_000_000,
        grid_of: Callable[[Frame, np.ndarray], Grid] | None = None,
    ) -> None:
        header: XYZHeader = read_header(path)
        self._path, self._band_A = path, band_A
        chunks = read_in_chunks(path, header, chunk_atoms)
        first = next(chunks)
        frame = frame_of(Atoms(first[1], positions=first[0], cell=header.cell, pbc=header.pbc), str(path))
        if grid_of is None and not frame.aligned:
            raise InputError(f"{path}: the cell {header.cell.tolist()} is not orthogonal along x and y")
        self.fingerprint = digest([str(Path(path).resolve()), Path(path).stat().st_size, Path(path).stat().st_mtime_ns])
        self._low = self._high = float(first[0][0] @ frame.axes[2])
        self._angle = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="extensive-sheet-")
        try:
            self._bands, elements = self._in_plane(frame, itertools.chain([first], chunks))
            if grid_of is not None:
                # Bonds of a part would not do: it may be one element, whose atoms are no neighbours.
                held = (frame.axes, frame.vectors, frame.positions, frame.across, frame.aligned)
                frame = FrameOfFile(*held, self._bonds.honeycomb(frame.vectors))
                grid = grid_of(frame, elements)
                self._angle, self._bands = grid.angle, self._on_grid(frame, grid, chunk_atoms)
        except BaseException:
            self.close()
            raise
        self.cell, self.axes = self._bands.cell, self._bands.axes

    def _in_plane(self, frame: Frame, chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[Bands, np.ndarray]:
        """All atoms in the plane of `frame`, and their elements (K,). Raises InputError for atoms out of the plane."""
        # Shortest periods: others may be nearly parallel.
        axes = None if frame.aligned else SkewAxes(Torus((1, 1), 0), shortest(frame.vectors).T)
        cell = (float(frame.vectors[0, 0]), float(frame.vectors[1, 1])) if axes is None else axes.cell
        bands = Bands(Path(self._folder.name) / "plane", cell, axes, self._band_A)
        elements = np.empty(0, np.uint8)
        for positions, numbers in chunks:
            bands.add(self._flat(frame, positions), numbers)
            elements = np.union1d(elements, numbers)
        return bands, elements

    def _flat(self, frame: Frame, positions: np.ndarray) -> np.ndarray:
        """A chunk of positions (n, 3) in the plane (n, 2)."""
        axes, across = frame.axes, frame.across
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
        return positions[:, :2] if frame.aligned else positions @ axes[:2].T

    def _on_grid(self, frame: Frame, grid: Grid, chunk_atoms: int) -> Bands:
        """All atoms on `grid`, out of their bands in the plane."""
        bands = None
        for positions, numbers in self._bands.emptied(chunk_atoms):
            placed = place(replace(frame, positions=positions), numbers, grid)
            if bands is None:
                axes = None if placed.upright else SkewAxes(torus_of(placed.periods), placed.pixels_A)
                cell = (float(placed.cell[0]), float(placed.cell[1])) if axes is None else axes.cell
                bands = Bands(Path(self._folder.name) / "grid", cell, axes, self._band_A)
            bands.add(placed.positions, placed.numbers)
        return bands

    @cached_property
    def _bonds(self) -> BondSums:
        return self._bands.bonds()

    def bonds(self) -> Bonds:
        """Bonds of all atoms, in the direction in which they lie on the grid."""
        return self._bonds.summary(self._angle)

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and numbers (N,) of the band, periodic images included."""
        return self._bands.between(y_low, y_high)

    def close(self) -> None:
        """Remove the sorted copy."""
        self._folder.cleanup()
