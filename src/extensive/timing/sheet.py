"""The papers' largest system: the energy of a sheet over a square micrometre, timed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from extensive.inference import Engine, FileSource, SheetEnergy, Source, stream_energy
from extensive.io import atomic_path
from extensive.keys import TIMING_COLUMNS
from extensive.models import load_model
from extensive.structures.sheet import PorousSheet, square_micrometre_sheet
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import Timing, cells_of_atoms

SHEET_COLUMNS = (*TIMING_COLUMNS, "peak_memory_GiB", "energy_eV")


@dataclass(frozen=True)
class SheetTiming(Timing):
    """A timing with what else a sheet tells."""

    peak_memory_GiB: float
    energy_eV: float


def sheet_source(blocks: Sequence[int] | None, displacement_A: float, seed: int) -> Source:
    """A porous graphene sheet of `blocks` (along x, along y), or of a square micrometre where None."""
    if blocks is None:
        return square_micrometre_sheet(seed, displacement_A)
    return PorousSheet((int(blocks[0]), int(blocks[1])), seed, displacement_A)


def evaluate_sheet(
    model: str | Path,
    source: Source,
    checkpoint: str | Path | None = None,
    dtype: str = "bfloat16",
    device: str = "cpu",
    threads: int | None = None,
    progress: bool = False,
) -> tuple[SheetEnergy, SheetTiming]:
    """Stream `source` through a model: what it found, and the row of sheet.csv.

    Resumes from `checkpoint` (a file that the caller removes once the row is safe). Raises InputError for a
    model that cannot be streamed and for elements that it does not know.
    """
    engine = Engine(load_model(model, device), dtype, device, threads)
    result = stream_energy(engine, source, checkpoint, progress)
    row = SheetTiming(
        "ednn-streamed",
        device,
        cells_of_atoms(result.n_atoms),
        result.n_atoms,
        result.seconds,
        1,
        engine.threads,
        hardware_label(device),
        round(result.peak_memory_GiB, 3),
        result.energy_eV,
    )
    return result, row


def write_sheet(rows: Sequence[SheetTiming], path: str | Path) -> None:
    """Write sheet.csv, atomically."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(SHEET_COLUMNS))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def sheet_of_config(section: dict[str, Any], model: str | Path, device: str, checkpoint: str | Path) -> SheetTiming:
    """The sheet of the configuration's `sheet` section (blocks, displacement_A, seed, dtype, threads)."""
    source = sheet_source(section["blocks"], section["displacement_A"], section["seed"])
    _, row = evaluate_sheet(model, source, checkpoint, section["dtype"], device, section["threads"], progress=True)
    return row


def file_source(path: str | Path) -> FileSource:
    """A user's own sheet, streamed from plain extended XYZ."""
    return FileSource(path)
