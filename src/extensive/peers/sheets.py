"""Sheets as programs for three dimensions take them, and the clock of a training."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ase import Atoms

from extensive import keys
from extensive.io import read_json, read_structures, write_json

# Periodic images across the sheet are further apart than any cutoff.
HEIGHT_A = 20.0


def structures_of(splits: str | Path, files: Iterable[str | Path], parts: Iterable[str]) -> dict[str, list[Atoms]]:
    """Structures of each of the sets `parts` of a splits file, in its order, those that the `files` have."""
    members = read_json(splits)
    known = {atoms.info[keys.STRUCTURE_ID]: atoms for file in files for atoms in read_structures(file)}
    return {part: [known[name] for name in members[part] if name in known] for part in parts}


def with_height(atoms: Atoms) -> Atoms:
    """A copy with a cell that has a height, periodic in the plane, and nothing but the labels."""
    cell = atoms.cell.array.copy()
    cell[2] = 0.0, 0.0, HEIGHT_A
    sheet = Atoms(atoms.numbers, atoms.positions, cell=cell, pbc=(True, True, False))
    if keys.REF_ENERGY in atoms.info:
        sheet.info[keys.REF_ENERGY] = float(atoms.info[keys.REF_ENERGY])
        sheet.arrays[keys.REF_FORCES] = atoms.arrays[keys.REF_FORCES].copy()
    return sheet


@contextlib.contextmanager
def timed(record: str | Path, threads: int) -> Iterator[None]:
    """Write how long the block took (seconds) and on how many cores, added to what earlier attempts have written.

    An attempt that failed counts; one that was killed is not known of.
    """
    record = Path(record)
    before = read_json(record)["seconds"] if record.is_file() else 0.0
    start = time.perf_counter()
    try:
        yield
    finally:
        write_json(record, {"seconds": before + time.perf_counter() - start, "cores": threads})
