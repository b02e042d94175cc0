"""Images of sheets that are rotated against their pixel grid.

A periodic sheet rotated by any angle is still periodic, but its cell vectors no longer lie along rows and columns. On a
grid whose pixels are sheared by a few per cent they are whole numbers of pixels again, n1 and n2. The image of one
period then is a rectangle of H x W pixels whose opposite sides are joined with a twist: going up by H rows comes back
in at the bottom, `twist` columns further on. Convolutions that wrap that way see the endless rotated sheet, at no more
cost than one that is not rotated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from extensive.images.raster import LARGEST_EXPONENT, TRUNCATION_SIGMA

# What lies below a boundary by this share of a period is at it, but for rounding.
AT_BOUNDARY = 1e-12


@dataclass(frozen=True)
class Torus:
    """One period of an image: H x W pixels; pixel (y + H, x + twist) is pixel (y, x), and (y, x + W) is too."""

    shape: tuple[int, int]
    twist: int


@dataclass(frozen=True)
class SkewAxes:
    """Coordinates along rows and columns of pixels that are sheared, in which one period is a rectangle with a twist.

    A place x e_u + y e_v, with unit vectors e_u, e_v along rows and columns, has coordinates (x, y) in Angstrom.
    """

    torus: Torus
    pixels_A: np.ndarray  # (2, 2) | symmetric; columns are a pixel's steps along its row and its column

    @cached_property
    def pitch_A(self) -> tuple[float, float]:
        """Distance of pixels along a column and along a row, Angstrom."""
        along_row, along_column = np.linalg.norm(self.pixels_A, axis=0)
        return float(along_column), float(along_row)

    @cached_property
    def cosine(self) -> float:
        """Of the angle between rows and columns."""
        return float(self.pixels_A[:, 0] @ self.pixels_A[:, 1]) / (self.pitch_A[0] * self.pitch_A[1])

    @cached_property
    def cell(self) -> tuple[float, float]:
        """Lengths of the rectangle along rows and columns, Angstrom."""
        return self.torus.shape[1] * self.pitch_A[1], self.torus.shape[0] * self.pitch_A[0]

    @cached_property
    def twist_A(self) -> float:
        """How far along a row the next period up begins."""
        return self.torus.twist * self.pitch_A[1]

    @cached_property
    def units(self) -> np.ndarray:
        """(2, 2): columns e_u and e_v."""
        return self.pixels_A / np.array([self.pitch_A[1], self.pitch_A[0]])

    def wrapped(self, positions: np.ndarray) -> np.ndarray:
        """Positions (N, 2) in the grid's axes as coordinates within the rectangle."""
        along = np.linalg.solve(self.units, positions.T).T
        width, height = self.cell
        # With what is at the boundary on one side of it: the other is further along x, by the twist.
        turns = np.floor(along[:, 1] / height + AT_BOUNDARY)
        along -= turns[:, None] * np.array([self.twist_A, height])
        along[:, 0] %= width
        along[along[:, 0] >= width * (1.0 - AT_BOUNDARY), 0] = 0.0
        along[(along[:, 1] >= height) | (along[:, 1] < 0.0), 1] = 0.0
        return along

    def gradient(self, along: np.ndarray) -> np.ndarray:
        """A gradient (N, 2) with respect to these coordinates as one in the grid's axes."""
        return np.linalg.solve(self.units.T, along.T).T


def torus_of(vectors: np.ndarray) -> Torus:
    """The torus of the period vectors n1, n2 in pixels: rows of `vectors` (2, 2), each (x, y), whole numbers.

    It is their Hermite normal form, (W, 0) and (twist, H).
    """
    (x1, y1), (x2, y2) = np.asarray(vectors, dtype=int).tolist()
    height, u, v = _bezout(y1, y2)
    width = abs(x1 * y2 - x2 * y1) // height
    return Torus((height, width), (u * x1 + v * x2) % width)


def _bezout(a: int, b: int) -> tuple[int, int, int]:
    """(g, u, v) with g = gcd(a, b) = u a + v b > 0."""
    if b == 0:
        return abs(a), (1 if a >= 0 else -1), 0
    g, u, v = _bezout(b, a % b)
    return g, v, u - (a // b) * v


@lru_cache(maxsize=4096)
def twisted_index(
    shape: tuple[int, int],
    twist: int,
    before: int,
    after: int,
    device: torch.device,
    chosen: tuple[int, ...] | None = None,
) -> Tensor:
    """Flat indices (H + before + after, W + before + after) of the pixels around a torus, or of its `chosen` rows."""
    height, width = shape
    # Kept for later calls, which may be differentiated even where this one is not.
    with torch.inference_mode(False):
        rows = torch.tensor(chosen or range(-before, height + after), device=device)[:, None]
        columns = torch.arange(-before, width + after, device=device)
        turns = torch.div(rows, height, rounding_mode="floor")
        return (rows - turns * height) * width + (columns - turns * twist) % width


def pixel_features(matrices: Tensor, pixel_size_A: float) -> Tensor:
    """What conditions a network on the pixels: 10 log(U / pixel_size_A) as its xx, yy and xy, (B, 3).

    `matrices` U (B, 2, 2), Angstrom, symmetric: columns are a pixel's steps along x and y. Without shear the first two
    are `raster.pitch_features`.
    """
    values, vectors = torch.linalg.eigh(matrices / pixel_size_A)
    logarithm = (vectors * torch.log(values)[:, None, :]) @ vectors.transpose(1, 2)
    return 10.0 * torch.stack([logarithm[:, 0, 0], logarithm[:, 1, 1], logarithm[:, 0, 1]], dim=1)


def rasterize_oblique(
    positions: Tensor, weights: Tensor, index: Tensor, matrices: Tensor, torus: Torus, sigma_A: float
) -> Tensor:
    """Images (B, C, H, W) of positions (A, 2), weights (A, C) and structure index (A,) on pixels of steps (B, 2, 2).

    The image of `extensive.images.raster`, which stays the owner of the formula (tests hold the two together):
    sum_j w_jc exp(-|U k - r_j|^2 / (2 sigma^2)) over the atoms and all of their periodic images, at the pixels k of the
    torus. Differentiable twice in the positions. `matrices` may stay on the CPU: a GPU is slow at such small ones.
    """
    height, width = torus.shape
    steps = torch.linalg.eigvalsh(matrices)
    half = math.ceil(TRUNCATION_SIGMA * sigma_A / float(steps.detach().min()))
    # |U d|^2 = (U^T U)_xx dx^2 + (U^T U)_yy dy^2 + 2 (U^T U)_xy dx dy
    squares = (matrices.transpose(1, 2) @ matrices).to(positions.device) / (2.0 * sigma_A**2)
    inverse = torch.linalg.inv(matrices).to(positions.device)
    scaled = (inverse[index] @ positions[:, :, None])[:, :, 0]  # (A, 2): x, y in pixels
    with torch.no_grad():
        first = torch.floor(scaled).to(torch.int64) - (half - 1)
        offsets = torch.arange(2 * half, device=positions.device)
        columns, rows = first[:, 0, None] + offsets, first[:, 1, None] + offsets  # (A, K)
        turns = torch.div(rows, height, rounding_mode="floor")
        around = (columns[:, None, :] - (turns * torus.twist)[:, :, None]) % width
        pixel = (rows - turns * height)[:, :, None] * width + around  # (A, Ky, Kx)
    metric = squares[index]
    dx = columns.to(positions.dtype) - scaled[:, 0, None]
    dy = rows.to(positions.dtype) - scaled[:, 1, None]
    square = metric[:, 0, 0, None] * dx.square()
    exponent = (metric[:, 1, 1, None] * dy.square())[:, :, None] + square[:, None, :]
    exponent = exponent + (2.0 * metric[:, 0, 1, None] * dy)[:, :, None] * dx[:, None, :]
    values = torch.exp(-exponent.clamp(max=LARGEST_EXPONENT)).flatten(1)  # (A, K K)
    n_structures, n_channels = len(matrices), weights.shape[1]
    # Each atom goes to the channels where it has weight: to one, where channels are elements.
    atom, channel = weights.nonzero(as_tuple=True)
    place = ((index[atom] * n_channels + channel) * (height * width))[:, None] + pixel.flatten(1)[atom]
    image = values.new_zeros(n_structures * n_channels * height * width)
    image = image.index_add(0, place.flatten(), (values[atom] * weights[atom, channel][:, None]).flatten())
    return image.view(n_structures, n_channels, height, width)
