"""Plain extended XYZ, read a chunk of lines at a time: for sheets that no reader should hold whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from extensive.errors import InputError


@dataclass(frozen=True)
class XYZHeader:
    """The first two lines of a file, as far as a sheet needs them."""

    n_atoms: int
    cell: tuple[float, float]  # Lx, Ly, Angstrom
    symbol_column: int
    position_column: int


def read_header(path: str | Path) -> XYZHeader:
    """Number of atoms, orthogonal in-plane cell and columns; InputError names the file and what is wrong."""
    try:
        with open(path) as stream:
            count, comment = stream.readline(), stream.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    if not count.strip().isdigit() or int(count) == 0:
        raise InputError(f"{path}: line 1 is {count.strip()[:40]!r}; extended XYZ starts with the number of atoms")
    lattice = re.search(r'Lattice="([^"]*)"', comment)
    if not lattice:
        raise InputError(f'{path}: line 2 has no Lattice="..."; the periodic cell is needed')
    try:
        cell = np.array(lattice.group(1).split(), float).reshape(3, 3)
    except ValueError as error:
        raise InputError(f"{path}: Lattice={lattice.group(1)!r} is not nine numbers") from error
    if np.abs(cell - np.diag(np.diag(cell))).max() > 1e-6 or min(cell[0, 0], cell[1, 1]) <= 0:
        raise InputError(f"{path}: the cell {cell.tolist()} is not orthogonal; use diag(Lx, Ly, Lz)")
    properties = re.search(r"Properties=(\S+)", comment)
    fields = (properties.group(1) if properties else "species:S:1:pos:R:3").split(":")
    column, columns = 0, {}
    for name, width in zip(fields[0::3], fields[2::3], strict=False):
        columns[name] = column
        column += int(width)
    if "species" not in columns or "pos" not in columns:
        raise InputError(f"{path}: Properties={':'.join(fields)} lacks species or pos")
    return XYZHeader(int(count), (float(cell[0, 0]), float(cell[1, 1])), columns["species"], columns["pos"])


def read_in_chunks(path: str | Path, header: XYZHeader, chunk_atoms: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions (n, 2) and atomic numbers (n,) of the first structure, `chunk_atoms` at a time."""
    use = [header.symbol_column, header.position_column, header.position_column + 1]
    reader = pd.read_csv(
        path,
        sep=r"\s+",
        header=None,
        skiprows=2,
        nrows=header.n_atoms,
        usecols=use,
        chunksize=chunk_atoms,
        dtype={use[0]: "category"},
        engine="c",
    )
    seen = 0
    try:
        for table in reader:
            symbols = table[use[0]]
            unknown = [symbol for symbol in symbols.cat.categories if symbol not in atomic_numbers]
            if unknown:
                raise InputError(f"{path}: {unknown[0]!r} is not a chemical symbol (atoms {seen + 1} and on)")
            numbers = np.array([atomic_numbers[symbol] for symbol in symbols.cat.categories], np.uint8)
            positions = table[use[1:]].to_numpy(float)
            if not np.isfinite(positions).all():
                raise InputError(
                    f"{path}: a position in atoms {seen + 1} to {seen + len(table)} is not a finite number"
                )
            seen += len(table)
            yield positions, numbers[symbols.cat.codes.to_numpy()]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as extended XYZ ({' '.join(str(error).split())[:120]})") from error
    if seen != header.n_atoms:
        raise InputError(f"{path}: {seen} atoms found, {header.n_atoms} announced in line 1; the file is truncated")
