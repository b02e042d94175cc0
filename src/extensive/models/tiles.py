"""Focus and context: images wrapped, cut into overlapping tiles, and walked over in bounded memory.

Mills et al., Chem. Sci. 10, 4129 (2019): an image is cut into focus regions of side f; each is seen together
with a context of width c around it, across the periodic boundary.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from extensive.errors import InputError
from extensive.models.functions import wrap_pad


def tile_counts(shape: tuple[int, int], focus_px: int) -> tuple[int, int]:
    """Tiles along y and x of an image of `shape` (H, W). Raises InputError unless the focus divides both."""
    height, width = shape
    if height % focus_px or width % focus_px:
        raise InputError(f"image of {height} x {width} pixels is not a whole number of tiles of focus {focus_px}")
    return height // focus_px, width // focus_px


def cut_padded(padded: Tensor, focus_px: int, side_px: int) -> Tensor:
    """Tiles of side `side_px` at stride `focus_px`: (B, C, Hp, Wp) -> (B, T, C, side, side), row by row."""
    tiles = padded.unfold(2, side_px, focus_px).unfold(3, side_px, focus_px)  # (B, C, Ty, Tx, side, side)
    return tiles.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def cut_tiles(image: Tensor, focus_px: int, context_px: int) -> Tensor:
    """Tiles of an image with their context across the boundary: (B, C, H, W) -> (B, T, C, f + 2c, f + 2c)."""
    tile_counts(tuple(image.shape[-2:]), focus_px)
    return cut_padded(wrap_pad(image, context_px), focus_px, focus_px + 2 * context_px)


def row_chunks(n_rows: int, work_per_row: int, budget: int) -> Iterator[tuple[int, int]]:
    """Ranges (first, last) over `n_rows` rows, of at least one row and no more work than `budget`."""
    step = max(1, budget // max(1, work_per_row))
    for first in range(0, n_rows, step):
        yield first, min(n_rows, first + step)
