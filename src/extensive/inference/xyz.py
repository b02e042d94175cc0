"""Plain extended XYZ, read a chunk of lines at a time: for sheets that no reader should hold whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from extensive.errors import InputError


@dataclass(frozen=True)
class XYZHeader:
    """The first two lines of a file, as far as a sheet needs them."""

    n_atoms: int
    cell: np.ndarray  # (3, 3) | rows: cell vectors, Angstrom
    pbc: tuple[bool, bool, bool]
    symbol_column: int
    position_column: int


def read_header(path: str | Path) -> XYZHeader:
    """Number of atoms, cell and columns; InputError names the file and what is wrong."""
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
    said = re.search(r'\bpbc="?([TtFf10][^\s"]*\s+[TtFf10]\S*\s+[TtFf10][^\s"]*)', comment)
    pbc = tuple(flag[0] in "Tt1" for flag in said.group(1).split()) if said else (True, True, True)
    properties = re.search(r"Properties=(\S+)", comment)
    fields = (properties.group(1) if properties else "species:S:1:pos:R:3").split(":")
    column, columns = 0, {}
    for name, width in zip(fields[0::3], fields[2::3], strict=False):
        columns[name] = column
        column += int(width)
    if "species" not in columns or "pos" not in columns:
        raise InputError(f"{path}: Properties={':'.join(fields)} lacks species or pos")
    return XYZHeader(int(count), cell, pbc, columns["species"], columns["pos"])


def read_in_chunks(path: str | Path, header: XYZHeader, chunk_atoms: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions (n, 3) and atomic numbers (n,) of the first structure, `chunk_atoms` at a time."""
    # Here, because half a second of loading it is a fifth of `extensive predict`, which reads no file this way.
    import pandas as pd

    use = [header.symbol_column, *(header.position_column + axis for axis in range(3))]
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
