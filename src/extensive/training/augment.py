"""Exact symmetries of a periodic sheet, and of the grid that it is drawn on.

Energy is unchanged by a rigid shift, a mirror, an exchange of the two axes, a repetition of the cell (per
atom), and by the choice of the pixel grid. All of it is done to the atoms before they become an image, so
nothing is interpolated, and forces rotate with the atoms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from extensive.images.raster import AtomBatch


@dataclass(frozen=True)
class Sheet:
    """One labelled structure in the plane, as arrays; `energy_eV` is what the network is to learn."""

    positions: np.ndarray  # (N, 2) | Angstrom
    numbers: np.ndarray  # (N,) | atomic numbers
    cell: np.ndarray  # (2,) | Lx, Ly, Angstrom
    energy_eV: float  # total energy less per-element energies
    forces: np.ndarray | None = None  # (N, 2) | eV/Angstrom
    strain_gradient: np.ndarray | None = None  # (2, 2) | dE/d(strain), eV, where its stress is to be learned
    charge_e: float | None = None  # electrons, of the auxiliary loss
    image: np.ndarray | None = None  # (C, H, W) | made beforehand, for trainings on fixed images
    pixels_A: np.ndarray | None = None  # (2, 2) | steps of the pixels of a grid that the sheet is rotated against
    # (2, 2) | of a cell that is no rectangle: its period vectors in these pixels, rows (x, y); `cell` is their lengths
    periods: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Augmentation:
    """Which symmetries are drawn at random in training; see the `augmentation` keys of the configuration."""

    translations: bool = True
    mirrors: bool = True
    transpose: bool = True
    # rotations by multiples of this angle, 0 for none; or by any angle from the first to the second of two
    rotation_deg: float | Sequence[float] = 0.0
    rotate_until: float = 1.0  # this fraction of the training rotates sheets; the rest has them as evaluation does
    pitch: float = 0.04  # the pixel grid may be finer or coarser by up to this fraction, per axis; 0 for none

    @property
    def rotates(self) -> bool:
        """Whether sheets are rotated at all."""
        return not isinstance(self.rotation_deg, int | float) or self.rotation_deg > 0

    @property
    def all_directions(self) -> bool:
        """Whether a honeycomb is met at every angle, which is one of 60 degrees, to the end of the training."""
        if isinstance(self.rotation_deg, int | float):
            return False
        low, high = self.rotation_deg
        return high - low >= 60.0 and self.rotate_until >= 1.0


def translate(sheet: Sheet, shift: np.ndarray) -> Sheet:
    """Shift all atoms by `shift` (2,), Angstrom; periodic."""
    return replace(sheet, positions=_wrapped(sheet, sheet.positions + shift))


def _wrapped(sheet: Sheet, positions: np.ndarray) -> np.ndarray:
    # Images on sheared pixels take atoms wherever they are.
    return np.mod(positions, sheet.cell) if sheet.periods is None else positions


def mirror(sheet: Sheet, axis: int) -> Sheet:
    """Mirror the coordinate `axis` (0 for x, 1 for y); forces rotate with it."""
    signs = np.ones(2)
    signs[axis] = -1.0
    forces = None if sheet.forces is None else sheet.forces * signs
    matrix = np.diag(signs)
    return replace(
        sheet,
        positions=_wrapped(sheet, sheet.positions * signs),
        forces=forces,
        strain_gradient=rotated_tensor(sheet, matrix),
        **_grid_turned(sheet, matrix),
    )


def rotated_tensor(sheet: Sheet, matrix: np.ndarray) -> np.ndarray | None:
    """The sheet's strain gradient under a rotation, mirror or exchange of axes (2, 2)."""
    return None if sheet.strain_gradient is None else matrix @ sheet.strain_gradient @ matrix.T


def _grid_turned(sheet: Sheet, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """A sheared grid under a mirror or an exchange of axes (2, 2)."""
    if sheet.periods is None:
        return {}
    return {
        "periods": np.rint(sheet.periods @ matrix.T).astype(int),
        "pixels_A": matrix @ sheet.pixels_A @ matrix.T,
    }


def transpose(sheet: Sheet) -> Sheet:
    """Exchange x and y, of positions, cell and forces."""
    forces = None if sheet.forces is None else sheet.forces[:, ::-1]
    exchange = np.array([[0.0, 1.0], [1.0, 0.0]])
    exchanged = {
        "positions": sheet.positions[:, ::-1],
        "forces": forces,
        "strain_gradient": rotated_tensor(sheet, exchange),
    }
    if sheet.periods is not None:
        return replace(sheet, **exchanged, **_grid_turned(sheet, exchange))
    return replace(sheet, **exchanged, cell=sheet.cell[::-1])


def repeat(sheet: Sheet, nx: int, ny: int) -> Sheet:
    """The cell repeated nx by ny times; energies scale, forces repeat."""
    shifts = np.array([[i, j] for i in range(nx) for j in range(ny)]) * sheet.cell  # (nx ny, 2)
    positions = (sheet.positions[None] + shifts[:, None]).reshape(-1, 2)
    copies = nx * ny
    return Sheet(
        positions=positions,
        numbers=np.tile(sheet.numbers, copies),
        cell=sheet.cell * (nx, ny),
        energy_eV=sheet.energy_eV * copies,
        forces=None if sheet.forces is None else np.tile(sheet.forces, (copies, 1)),
        strain_gradient=None if sheet.strain_gradient is None else sheet.strain_gradient * copies,
        charge_e=None if sheet.charge_e is None else sheet.charge_e * copies,
    )


def repeat_to(sheet: Sheet, length_A: float) -> Sheet:
    """Repeat a small cell until neither side is shorter than `length_A`, Angstrom; not one on a sheared grid."""
    if sheet.periods is not None:
        return sheet
    nx, ny = (max(1, int(np.ceil(length_A / side - 1e-9))) for side in sheet.cell)
    return sheet if nx == ny == 1 else repeat(sheet, nx, ny)


def augmented(sheet: Sheet, choice: Augmentation, rng: np.random.Generator, exchanged: bool = False) -> Sheet:
    """One random image of `sheet` under the chosen symmetries, its axes `exchanged` or not; it always draws four random
    numbers.
    """
    flips, shift = rng.random(2), rng.random(2)
    if exchanged:
        sheet = transpose(sheet)
    for axis in (0, 1):
        if choice.mirrors and flips[axis] < 0.5:
            sheet = mirror(sheet, axis)
    return translate(sheet, shift * sheet.cell) if choice.translations else sheet


def draw_angle(rotation_deg: float | Sequence[float], rng: np.random.Generator) -> float:
    """A multiple of `rotation_deg` below 180 degrees, in radians: mirrors make the rest of the circle. 0 for none.

    Of two angles, any between them.
    """
    if not isinstance(rotation_deg, int | float):
        return float(np.deg2rad(rng.uniform(*rotation_deg)))
    if rotation_deg <= 0:
        return 0.0
    return np.deg2rad(rotation_deg * rng.integers(max(1, round(180.0 / rotation_deg))))


def draw_pitch(pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Pitch (2,), along x and along y, as multiples of the nominal one, drawn within `pitch` of 1.

    Cells of every size so meet a range of pitches, and the network learns what the pitch is worth.
    """
    return 1.0 + pitch * (2.0 * rng.random(2) - 1.0)


def collate(sheets: Sequence[Sheet], dtype: torch.dtype = torch.float32) -> AtomBatch:
    """Flat tensors of several sheets; see `raster.AtomBatch`."""
    counts = [len(sheet) for sheet in sheets]
    return AtomBatch(
        positions=torch.as_tensor(np.concatenate([sheet.positions for sheet in sheets]), dtype=dtype),
        numbers=torch.as_tensor(np.concatenate([sheet.numbers for sheet in sheets]), dtype=torch.int64),
        index=torch.as_tensor(np.repeat(np.arange(len(sheets)), counts), dtype=torch.int64),
        cells=torch.as_tensor(np.stack([sheet.cell for sheet in sheets]), dtype=dtype),
    )
