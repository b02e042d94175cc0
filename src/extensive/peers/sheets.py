"""Sheets as programs for three dimensions take them, and the clock of a training."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import read_json, read_structures, write_json
from extensive.structures.frame import frame_of, name_of
from extensive.structures.labels import no_forces

# Periodic images across the sheet are further apart than any cutoff.
HEIGHT_A = 20.0


def structures_of(splits: str | Path, files: Iterable[str | Path], parts: Iterable[str]) -> dict[str, list[Atoms]]:
    """Structures of each of the sets `parts` of a splits file, in its order, those that the `files` have."""
    members = read_json(splits)
    known = {atoms.info[keys.STRUCTURE_ID]: atoms for file in files for atoms in read_structures(file)}
    return {part: [known[name] for name in members[part] if name in known] for part in parts}


def with_height(atoms: Atoms) -> Atoms:
    """The sheet in the axes of its plane, along x and y of a cell that has a height, with nothing but the labels.

    Periodic in the plane; heights of atoms (Angstrom) are kept. What lies so already is not changed.
    """
    frame = frame_of(atoms)
    heights = atoms.positions @ frame.axes[2]
    if frame.across is not None:
        # Atoms on either side of a boundary are one sheet, where nothing is periodic across it.
        period = frame.across @ frame.axes[2]
        heights -= period * np.rint((heights - heights[0]) / period)
    cell = np.diag([0.0, 0.0, HEIGHT_A])
    cell[:2, :2] = frame.vectors
    sheet = Atoms(atoms.numbers, np.column_stack([frame.positions, heights]), cell=cell, pbc=(True, True, False))
    if keys.REF_ENERGY in atoms.info:
        sheet.info[keys.REF_ENERGY] = float(atoms.info[keys.REF_ENERGY])
    if keys.REF_FORCES in atoms.arrays:
        sheet.arrays[keys.REF_FORCES] = atoms.arrays[keys.REF_FORCES] @ frame.axes.T
    return sheet


def check_forces(structures: Sequence[Atoms], method: str) -> None:
    """Raise InputError naming the first structure without forces, to which `method` is fitted."""
    for atoms in structures:
        if keys.REF_FORCES not in atoms.arrays:
            raise InputError(
                f"{name_of(atoms)}: {no_forces(atoms)}; {method} is fitted to forces too: add them or set"
                f" peers.{method}: null"
            )


def finished(record: str | Path) -> bool:
    """Whether the training whose time is in a record of `timed` has come to its end."""
    return Path(record).is_file() and bool(read_json(record).get("finished"))


@contextlib.contextmanager
def timed(record: str | Path, threads: int) -> Iterator[None]:
    """Write how long the block took (seconds), on how many cores, and whether it finished.

    Earlier attempts that did not finish are added, one that was killed is not known of. A training that has finished
    already is not counted again.
    """
    record = Path(record)
    done = finished(record)
    before = read_json(record)["seconds"] if record.is_file() else 0.0
    start, ended = time.perf_counter(), False
    try:
        yield
        ended = True
    finally:
        if not done:
            seconds = before + time.perf_counter() - start
            write_json(record, {"seconds": seconds, "cores": threads, "finished": ended})
