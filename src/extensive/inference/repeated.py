"""A structure that comes again and again, as in dynamics: its frame and grid are kept while its atoms move little."""

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from extensive.images.placement import Grid, Placed, place
from extensive.models import Potential
from extensive.structures.frame import FLAT_TOLERANCE_A, Frame

# Bonds say which way a honeycomb lies, and no others are made by moves as small as this.
MOVED_A = 0.1


@dataclass(frozen=True)
class _Known:
    cell: np.ndarray  # (3, 3)
    pbc: np.ndarray  # (3,)
    numbers: np.ndarray  # (N,)
    positions: np.ndarray  # (N, 3) | when the grid was chosen
    frame: Frame
    grid: Grid

    def is_of(self, atoms: Atoms) -> bool:
        return (
            len(atoms) == len(self.numbers)
            and np.array_equal(atoms.cell.array, self.cell)
            and np.array_equal(atoms.pbc, self.pbc)
            and np.array_equal(atoms.numbers, self.numbers)
            and bool(np.abs(atoms.positions - self.positions).max() <= MOVED_A)
            and bool(np.ptp(atoms.positions @ self.frame.axes[2]) <= FLAT_TOLERANCE_A)
        )


class Placer:
    """Lays sheets on a potential's grid as `Potential.lay` does, the last one again without a search for its grid."""

    def __init__(self, potential: Potential) -> None:
        self.potential = potential
        self._last: _Known | None = None

    def lay(self, sheet: Atoms) -> tuple[Frame, Placed]:
        """The sheet's frame and the sheet on its grid. Raises InputError for what is no flat periodic sheet."""
        last = self._last
        if last is not None and last.is_of(sheet):
            flat = sheet.positions[:, :2] if last.frame.aligned else sheet.positions @ last.frame.axes[:2].T
            frame, grid = replace(last.frame, positions=flat), last.grid
        else:
            frame, grid = self.potential.frame_and_grid(sheet)
            self._last = _Known(
                sheet.cell.array.copy(), sheet.pbc.copy(), sheet.numbers.copy(), sheet.positions.copy(), frame, grid
            )
        return frame, place(frame, sheet.numbers, grid)
