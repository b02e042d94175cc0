"""Plain extended XYZ, read a chunk of lines at a time: for sheets that no reader should hold whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from extensive.errors import InputError
from extensive.io import note


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
    if not all(width.isdecimal() for width in fields[2::3]):
        raise InputError(f"{path}: Properties={':'.join(fields)} is no list of name:type:columns")
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
    seen, others = 0, False
    try:
        reader = pd.read_csv(
            path,
            sep=r"\s+",
            header=None,
            skiprows=2,
            nrows=header.n_atoms + 1,  # a line more, which another structure has
            usecols=use,
            chunksize=chunk_atoms,
            dtype={use[0]: "category"},
            engine="c",
        )
        for table in reader:
            others = seen + len(table) > header.n_atoms
            table = table[: header.n_atoms - seen]
            symbols = table[use[0]].cat.remove_unused_categories()
            unknown = [symbol for symbol in symbols.cat.categories if symbol not in atomic_numbers]
            if unknown:
                raise InputError(f"{path}: {unknown[0]!r} is not a chemical symbol (atoms {seen + 1} and on)")
            numbers = np.array([atomic_numbers[symbol] for symbol in symbols.cat.categories], np.uint8)
            positions = table[use[1:]].to_numpy(float)
            if symbols.isna().any() or not np.isfinite(positions).all():
                raise InputError(
                    f"{path}: a symbol or position in atoms {seen + 1} to {seen + len(table)} is missing, or is not a"
                    " finite number"
                )
            seen += len(table)
            if len(table):
                yield positions, numbers[symbols.cat.codes.to_numpy()]
    except InputError:
        raise
    except pd.errors.EmptyDataError:
        pass  # no atoms, which is said below
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        if "Usecols" in reason:  # pandas' word for a first line that lacks some of them
            reason = f"line 3 has fewer than {max(use) + 1} columns, which hold symbol and x, y, z by line 2"
        raise InputError(f"{path}: not readable as extended XYZ ({reason})") from error
    if seen != header.n_atoms:
        raise InputError(f"{path}: {seen} atoms found, {header.n_atoms} announced in line 1; the file is truncated")
    if others:
        say_that_others_follow(path)


def say_that_others_follow(path: str | Path) -> None:
    """Of a file of which one sheet is evaluated."""
    note(f"{path}: holds several structures; the first alone is evaluated")
