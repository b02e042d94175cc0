"""The papers' largest system: the energy of a sheet over a square micrometre, timed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extensive.errors import InputError
from extensive.images.placement import Grid
from extensive.inference import AtomsSource, Engine, FileSource, SheetEnergy, Source, stream_energy
from extensive.inference.calculator import check_domain, check_frame
from extensive.inference.number_types import AUTO
from extensive.inference.shifts import knows_exchange
from extensive.inference.xyz import read_header, say_that_others_follow
from extensive.io import atomic_path
from extensive.keys import TIMING_COLUMNS
from extensive.models import load_model
from extensive.models.domain import check_summary
from extensive.structures.frame import Frame
from extensive.structures.sheet import PorousSheet, square_micrometre_sheet
from extensive.structures.user_files import read_any
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import Timing, cells_of_atoms, method_prefix

# A user's file of up to this many atoms is held in memory.
ATOMS_IN_MEMORY = 20_000
SHEET_COLUMNS = (*TIMING_COLUMNS, "peak_memory_GiB", "energy_eV")


@dataclass(frozen=True)
class SheetTiming(Timing):
    """A timing with what else a sheet tells."""

    peak_memory_GiB: float
    energy_eV: float
    number_type: str  # and why it was chosen; for the record, not for the table


def sheet_source(blocks: Sequence[int] | None, displacement_A: float, seed: int) -> Source:
    """A porous graphene sheet of `blocks` (along x, along y), or of a square micrometre where None."""
    if blocks is None:
        return square_micrometre_sheet(seed, displacement_A)
    return PorousSheet((int(blocks[0]), int(blocks[1])), seed, displacement_A)


def evaluate_sheet(
    model: str | Path,
    source: Source,
    checkpoint: str | Path | None = None,
    dtype: str = AUTO,
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
    if isinstance(source, AtomsSource) and source.copies > 1:
        sums = tuple(value / source.copies for value in result.sums_eV)
        result = replace(result, sums_eV=sums, n_atoms=result.n_atoms // source.copies)
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
        said_of(engine),
    )
    return result, row


def said_of(engine: Engine) -> str:
    """What is said of an engine's number type."""
    return f"{engine.dtype_name} ({engine.why})"


def method_of(model: str | Path, first: str | Path) -> str:
    """What sheet.csv calls the evaluation by one of several models; see `method_prefix`."""
    return f"{method_prefix(model, first)}-streamed"


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


def file_source(
    path: str | Path, model: str | Path | None = None, extrapolate: bool = False
) -> FileSource | AtomsSource:
    """A user's own sheet: plain extended XYZ, streamed where it is large, or any other format of the reader.

    With a `model` all of the sheet is checked as `predict` does, and it is laid on the model's grid. Without, it must
    lie along x and y. Of several structures the first is taken, with a line. Raises InputError naming the file.
    """
    potential = None if model is None else load_model(model)
    if not is_plain_xyz(path) or (read_header(path).n_atoms <= ATOMS_IN_MEMORY and potential is not None):
        atoms, *others = read_any(path)
        if others:
            say_that_others_follow(path)
        if potential is None:
            return AtomsSource(atoms)
        return AtomsSource(check_domain(atoms, potential, extrapolate, str(path)))
    if potential is None:
        return FileSource(path)

    def grid_of(frame: Frame, numbers: np.ndarray) -> Grid:
        # One cell: a large one has a good grid of its own. Bonds are checked below.
        return check_frame(frame, numbers, potential, extrapolate, str(path), most_atoms=1)

    source = FileSource(path, grid_of=grid_of)
    try:
        check_summary(source.bonds(), potential.metadata, str(path), extrapolate, knows_exchange(potential))
    except InputError:
        source.close()
        raise
    return source


def is_plain_xyz(path: str | Path) -> bool:
    """Whether a file begins as plain XYZ does, with a number of atoms; False for one that is not there."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.readline(40).strip().isdigit() and not str(path).endswith(".gz")
    except (OSError, UnicodeDecodeError):
        return False
