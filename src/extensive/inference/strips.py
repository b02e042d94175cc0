"""How a sheet is cut into strips, and what is remembered of the strips that are done."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extensive.errors import InputError
from extensive.io import read_json, write_json


@dataclass(frozen=True)
class Strip:
    """Pixel rows first <= row < last of a sheet's image; `index` counts over the whole sheet."""

    index: int
    first: int
    last: int


def even_parts(length_px: int, wanted_px: int, stride_px: int = 1) -> list[tuple[int, int]]:
    """Parts first <= pixel < last of a length, each about `wanted_px` long and a whole number of strides.

    Equal parts (to one stride): a narrow one at the end would have nearly all of its cost in its context.
    """
    units = length_px // stride_px
    count = max(1, round(length_px / wanted_px))
    edges = [stride_px * (units * i // count) for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def strips(height_px: int, rows_px: int, stride_px: int = 1, n_ranks: int = 1, rank: int = 0) -> list[Strip]:
    """The strips of one rank: contiguous, of about `rows_px` rows, and as even in number as can be.

    The partition into strips does not depend on `n_ranks`, so neither does any strip's energy.
    """
    if rows_px < 1 or n_ranks < 1 or not 0 <= rank < n_ranks:
        raise InputError(f"strips: rows_px {rows_px}, rank {rank} of {n_ranks}; expected rows >= 1, 0 <= rank < ranks")
    parts = [Strip(i, first, last) for i, (first, last) in enumerate(even_parts(height_px, rows_px, stride_px))]
    count = len(parts)
    return parts[rank * count // n_ranks : (rank + 1) * count // n_ranks]


@dataclass
class Checkpoint:
    """Partial sums by strip, written whole or not at all after each strip.

    `key` is a digest of all that the sums depend on; a file with another key is another calculation's and is
    not used.
    """

    path: Path | None
    key: str
    sums_eV: dict[int, list[float]] = field(default_factory=dict)  # K numbers a strip, see SheetEnergy
    atoms: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_GiB: float = 0.0

    @classmethod
    def open(cls, path: str | Path | None, key: str) -> "Checkpoint":
        """The checkpoint at `path` if it belongs to `key`, else an empty one that will replace it."""
        if path is None:
            return cls(None, key)
        path = Path(path)
        if path.is_file():
            try:
                values: dict[str, Any] = read_json(path)
                if values["key"] == key:
                    return cls(
                        path,
                        key,
                        {int(k): [float(v) for v in sums] for k, sums in values["sums_eV"].items()},
                        {int(k): int(v) for k, v in values["atoms"].items()},
                        float(values["seconds"]),
                        float(values["peak_memory_GiB"]),
                    )
            except (InputError, KeyError, TypeError, ValueError, AttributeError):
                pass  # not a checkpoint that can be trusted: start over
        return cls(path, key)

    def add(self, strip: Strip, sums_eV: list[float], n_atoms: int) -> None:
        """Remember a finished strip; on disk before this returns."""
        self.sums_eV[strip.index] = sums_eV
        self.atoms[strip.index] = n_atoms
        if self.path is not None:
            write_json(
                self.path,
                {
                    "key": self.key,
                    "seconds": self.seconds,
                    "peak_memory_GiB": self.peak_memory_GiB,
                    "sums_eV": self.sums_eV,
                    "atoms": self.atoms,
                },
            )

    def remove(self) -> None:
        """Forget: the result has been written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
