"""What all timings share: sizes in 60-atom cells, warm-up, synchronisation, repeats, median, fixed columns."""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.keys import ATOMS_PER_CELL, TIMING_COLUMNS

# Sheets are rattled: pristine ones converge in fewer iterations than anything of interest.
DISPLACEMENT_A = 0.05
# Up to this many cells the structure is in memory, as a user's would be; beyond, copies of it are streamed.
CELLS_IN_MEMORY = 100


def method_prefix(model: str | Path, first: str | Path | None) -> str:
    """What the methods of one of several EDNNs begin with: `ednn` of the `first` that is timed, else its name."""
    return "ednn" if model == first else Path(model).stem


@dataclass(frozen=True)
class Timing:
    """One row of a timing table; the fields are the fixed columns."""

    method: str
    device: str
    n_cells: float  # n_atoms / 60
    n_atoms: int
    seconds: float
    repeats: int
    cores: int
    hardware: str


def write_timings(path: str | Path, rows: Iterable[Any], columns: tuple[str, ...] = TIMING_COLUMNS) -> None:
    """Write rows (dataclasses) as CSV with exactly `columns`, atomically."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(columns))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def median_seconds(
    call: Callable[[], Any],
    repeats: int,
    warmup: int = 1,
    synchronise: Callable[[], None] | None = None,
    budget_s: float = math.inf,
) -> tuple[float, int]:
    """Median wall-clock seconds of `call` and how many repeats it took.

    Warm-up calls are not counted. The device is synchronised before the clock is read. Repeating stops
    early, after at least one repeat, once `budget_s` is spent, so that large systems are not timed for ever.
    """
    wait = synchronise or (lambda: None)
    for _ in range(warmup):
        call()
    wait()
    seconds: list[float] = []
    while len(seconds) < repeats and (not seconds or sum(seconds) < budget_s):
        start = time.perf_counter()
        call()
        wait()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), len(seconds)


def cells_of_atoms(n_atoms: int) -> float:
    """System size in the papers' unit, cells of 60 atoms; whole where it is whole."""
    cells = n_atoms / ATOMS_PER_CELL
    return int(cells) if cells == int(cells) else round(cells, 4)


def supercell_of_cells(n_cells: int) -> tuple[int, int]:
    """The most nearly square (nx, ny) with nx * ny = n_cells, nx <= ny (the 60-atom cell is about square)."""
    if n_cells < 1:
        raise InputError(f"n_cells: {n_cells}; expected a positive number of 60-atom cells")
    nx = next(n for n in range(math.isqrt(n_cells), 0, -1) if n_cells % n == 0)
    return nx, n_cells // nx
