"""Images of atoms: the only place that knows the image formula.

A structure becomes ``image[c, y, x] = sum_j w_jc exp(-|r_yx - r_j|^2 / (2 sigma^2))`` over the atoms j and
all their periodic images, in the plane of the sheet (Ryczko et al., Comput. Mater. Sci. 149, 134 (2018)).
Pixel ``i`` of an axis of length ``L`` with ``n`` pixels lies at ``i L / n``: a periodic grid does not repeat
its first pixel as its last.

The sum over periodic images of an orthogonal cell is a product of one sum per axis, so an image is a matrix
product of one-dimensional factors: exact, differentiable twice (forces are gradients, and training on forces
differentiates them again), and bounded by arithmetic instead of by scattered memory writes.

Axes: B structures, A atoms of all structures together, C channels, H W pixels (H along y, W along x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from torch import Tensor

from extensive.errors import InputError
from extensive.images.placement import aligned

Channels = str | Sequence[str]

# exp(-5.5^2 / 2) = 2.7e-7 of the peak is left out, as much as float32 resolves; 9 sigma is below float64's
# epsilon.
TRUNCATION_SIGMA = 5.5
EXACT_TRUNCATION_SIGMA = 9.0
# Exponents end here, at 4e-18: products of two such factors stay clear of denormal numbers, which are slow.
LARGEST_EXPONENT = 40.0
# Shorter axes than either are rendered at once; longer ones in blocks of about BLOCK_PX with a halo.
DENSE_PX = 96
DENSE_SIGMA = 75.0
BLOCK_PX = 32


@dataclass
class AtomBatch:
    """Atoms of B structures laid end to end, as tensors on one device."""

    positions: Tensor  # (A, 2) | in-plane Cartesian positions, Angstrom
    numbers: Tensor  # (A,) | atomic numbers, int64
    index: Tensor  # (A,) | the structure 0..B-1 that each atom belongs to, int64
    cells: Tensor  # (B, 2) | Lx, Ly of the orthogonal periodic cells, Angstrom

    def __len__(self) -> int:
        return self.cells.shape[0]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> AtomBatch:
        """The same batch on `device`, with floating-point tensors as `dtype` (None keeps theirs)."""
        return AtomBatch(
            self.positions.to(device, dtype),
            self.numbers.to(device),
            self.index.to(device),
            self.cells.to(device, dtype),
        )


def batch_from_atoms(
    structures: Sequence[Atoms], dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> AtomBatch:
    """Flat tensors of `structures`; positions are wrapped into the cell in float64 before any rounding to
    `dtype`.

    Raises InputError for a structure that is not a flat, orthogonal, periodic sheet.
    """
    placed = [aligned(atoms) for atoms in structures]
    cells = np.array([sheet.cell for sheet in placed]).reshape(-1, 2)
    return batch_of([sheet.positions for sheet in placed], [sheet.numbers for sheet in placed], cells, dtype, device)


def batch_of(
    positions: Sequence[np.ndarray],
    numbers: Sequence[np.ndarray],
    cells: np.ndarray,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> AtomBatch:
    """Flat tensors of structures with positions (N, 2), numbers (N,) and orthogonal cells (B, 2), Angstrom.

    Positions are wrapped into the cell in float64 before any rounding to `dtype`.
    """
    if len(positions) == 0:
        raise InputError("no structures given; at least one is needed")
    wrapped = np.concatenate([np.mod(places, cell) for places, cell in zip(positions, cells, strict=True)])
    counts = [len(places) for places in positions]
    return AtomBatch(
        positions=torch.as_tensor(wrapped, dtype=dtype, device=device),
        numbers=torch.as_tensor(np.concatenate(numbers), dtype=torch.int64, device=device),
        index=torch.as_tensor(np.repeat(np.arange(len(positions)), counts), dtype=torch.int64, device=device),
        cells=torch.as_tensor(cells, dtype=dtype, device=device),
    )


def channel_count(channels: Channels) -> int:
    """Number of image channels: one for 'Z', one per element otherwise."""
    return 1 if channels == "Z" else len(channels)


def channel_weights(numbers: Tensor, channels: Channels, dtype: torch.dtype = torch.float32) -> Tensor:
    """Weights w_jc (A, C) of atoms with atomic `numbers` (A,).

    `channels` 'Z' is the papers' form, one channel weighted by the atomic number; a list of elements gives
    one channel of weight 1 to each. Raises InputError for an element without a channel.
    """
    if isinstance(channels, str):
        if channels != "Z":
            raise InputError(f"channels: {channels!r}; it must be 'Z' or a list of elements such as [B, C, N]")
        return numbers.to(dtype)[:, None]
    unknown = [symbol for symbol in channels if symbol not in atomic_numbers]
    if unknown or not channels or len(set(channels)) < len(channels):
        raise InputError(f"channels: {list(channels)}; 'Z' or a list of chemical symbols, each once, such as [B, C, N]")
    species = torch.tensor([atomic_numbers[symbol] for symbol in channels], device=numbers.device)
    weights = numbers[:, None] == species[None, :]  # (A, C)
    missing = ~weights.any(dim=1)
    if bool(missing.any()):
        raise InputError(f"atomic number {int(numbers[missing][0])} has no image channel; there are {list(channels)}")
    return weights.to(dtype)


def image_shape(cell: Sequence[float], pixel_size_A: float, multiple: int) -> tuple[int, int]:
    """Shape (H, W) for a cell (Lx, Ly): per axis the nearest multiple of `multiple` to L / pixel_size_A."""
    if not 0 < pixel_size_A < math.inf or multiple < 1:
        raise InputError(f"pixel_size_A {pixel_size_A} and multiple {multiple} must be positive, and finite")
    width, height = (max(1, round(float(length) / pixel_size_A / multiple)) * multiple for length in cell[:2])
    return height, width


def pitch_features(cells: Tensor, shape: tuple[int, int], pixel_size_A: float) -> Tensor:
    """What conditions a network on the pixel pitch: 10 log(pitch / pixel_size_A) along x and y, (B, 2).

    A cell is rarely a whole number of pixels; without these a rounded pitch reads as a strain.
    """
    counts = cells.new_tensor([shape[1], shape[0]])
    return 10.0 * torch.log(cells / counts / pixel_size_A)


def rasterize(
    positions: Tensor,
    numbers: Tensor,
    cell: Tensor,
    shape: tuple[int, int],
    channels: Channels,
    sigma_A: float,
    exact: bool = False,
) -> Tensor:
    """Image (C, H, W) of one structure: positions (N, 2) Angstrom, numbers (N,), cell (2,) Angstrom.

    See `rasterize_batch`, which this calls.
    """
    index = torch.zeros(len(positions), dtype=torch.int64, device=positions.device)
    cell = torch.as_tensor(cell, dtype=positions.dtype, device=positions.device)
    return rasterize_batch(AtomBatch(positions, numbers, index, cell[None, :]), shape, channels, sigma_A, exact)[0]


def rasterize_batch(
    batch: AtomBatch, shape: tuple[int, int], channels: Channels, sigma_A: float, exact: bool = False
) -> Tensor:
    """Images (B, C, H, W) of B structures, all of one `shape` (H, W); Gaussians of width `sigma_A`, Angstrom.

    Differentiable twice in the positions and the cells. Gaussians are cut off no nearer than 5.5 sigma, or 9
    sigma if `exact`. Memory is that of the images. Raises InputError for an element without a channel.
    """
    weights = channel_weights(batch.numbers, channels, batch.positions.dtype)
    return render(batch.positions, weights, batch.index, batch.cells, shape, sigma_A, exact)


def render(
    positions: Tensor,
    weights: Tensor,
    index: Tensor,
    cells: Tensor,
    shape: tuple[int, int],
    sigma_A: float,
    exact: bool = False,
) -> Tensor:
    """Images (B, C, H, W) of positions (A, 2), weights (A, C), structure index (A,) and cells (B, 2)."""
    if not 0 < sigma_A < math.inf:
        raise InputError(f"sigma_A {sigma_A} must be positive and finite, in Angstrom")
    n_structures, n_channels = cells.shape[0], weights.shape[1]
    cutoff_A = sigma_A * (EXACT_TRUNCATION_SIGMA if exact else TRUNCATION_SIGMA)
    smallest = cells.detach().amin(dim=0).tolist()
    nx, halo_x = _split_axis(shape[1], smallest[0], cutoff_A, DENSE_SIGMA * sigma_A)
    ny, halo_y = _split_axis(shape[0], smallest[1], cutoff_A, DENSE_SIGMA * sigma_A)
    n_groups = n_structures * ny * nx
    with torch.no_grad():
        lengths = cells[index]  # (A, 2)
        wraps = torch.floor(positions / lengths)
        blocks = torch.tensor([nx, ny], device=cells.device)
        block = ((positions / lengths - wraps) * blocks).to(torch.int64).clamp_(min=0)  # (A, 2)
        block = torch.minimum(block, blocks - 1)
        group = (index * ny + block[:, 1]) * nx + block[:, 0]  # (A,)
        slot, width = _slots(group, n_groups)
    wrapped = positions - wraps * cells[index]

    # Atoms sorted into groups (structure, block), padded to the fullest group with atoms of weight 0.
    padded = positions.new_zeros(n_groups, width, 2).index_put((group, slot), wrapped)
    padded_weights = weights.new_zeros(n_groups, width, n_channels).index_put((group, slot), weights)
    group_cells = cells.repeat_interleave(ny * nx, dim=0)  # (G, 2)
    block_x = torch.arange(nx, device=cells.device).repeat(n_structures * ny)
    block_y = torch.arange(ny, device=cells.device).repeat_interleave(nx).repeat(n_structures)
    scale = 1.0 / (math.sqrt(2.0) * sigma_A)
    gx = _axis_factors(padded[..., 0], group_cells[:, 0], block_x, shape[1], nx, halo_x, scale, cutoff_A, smallest[0])
    gy = _axis_factors(padded[..., 1], group_cells[:, 1], block_y, shape[0], ny, halo_y, scale, cutoff_A, smallest[1])

    # (G, M, C, Ky) -> (G, C Ky, M) @ (G, M, Kx): sum over the atoms of a group as one matrix product
    weighted = (padded_weights[..., None] * gy[:, :, None, :]).flatten(2)
    image = torch.bmm(weighted.transpose(1, 2), gx)
    if nx == ny == 1:
        return image.view(n_structures, n_channels, *shape)
    image = image.view(n_structures, ny, nx, n_channels, gy.shape[-1], gx.shape[-1])
    image = _overlap_add(image, block_dim=2, pixel_dim=5, halo=halo_x)
    image = _overlap_add(image, block_dim=1, pixel_dim=4, halo=halo_y)
    return image.permute(0, 3, 1, 4, 2, 5).reshape(n_structures, n_channels, *shape)


def _split_axis(n_px: int, length_A: float, cutoff_A: float, dense_A: float) -> tuple[int, int]:
    """(number of blocks, halo in pixels) for an axis; one block without halo is the whole axis at once."""
    halo = math.ceil(cutoff_A * n_px / length_A)
    if n_px > DENSE_PX and length_A > dense_A:
        sizes = [s for s in range(max(halo, BLOCK_PX // 2), 2 * BLOCK_PX + 1) if n_px % s == 0]
        if sizes:
            return n_px // min(sizes, key=lambda s: abs(s - BLOCK_PX)), halo
    return 1, 0


def _slots(group: Tensor, n_groups: int) -> tuple[Tensor, int]:
    """Rank of every atom within its group (A,), and the size of the fullest group."""
    order = torch.argsort(group, stable=True)
    counts = torch.bincount(group, minlength=n_groups)
    starts = torch.cumsum(counts, 0) - counts
    slot = torch.empty_like(group)
    slot[order] = torch.arange(len(group), device=group.device) - starts[group[order]]
    return slot, int(counts.max()) if len(group) else 0


def _axis_factors(
    x: Tensor,
    length: Tensor,
    block: Tensor,
    n_px: int,
    n_blocks: int,
    halo: int,
    scale: float,
    cutoff_A: float,
    smallest_A: float,
) -> Tensor:
    """exp(-(x_i - x_j)^2 / (2 sigma^2)) along one axis: x (G, M) -> (G, M, K), periodic images summed.

    In units of sqrt(2) sigma, so that the exponent is a plain square.
    """
    pitch = length * (scale / n_px)  # (G,)
    size = n_px // n_blocks
    pixels = torch.arange(-halo, size + halo, device=x.device, dtype=x.dtype)
    grid = (pixels[None, :] + (block * size)[:, None]) * pitch[:, None]  # (G, K)
    distance = grid[:, None, :] - (x * scale)[:, :, None]  # (G, M, K)
    if n_blocks > 1:
        return _gaussian(distance)
    period = (length * scale)[:, None, None]
    with torch.no_grad():
        turns = torch.round(distance / period)
    distance = distance - turns * period
    # |distance| <= L / 2 here, so image m matters only while (m - 1/2) L < cutoff.
    images = max(0, math.ceil(cutoff_A / smallest_A + 0.5) - 1)
    factors = _gaussian(distance)
    for m in range(1, images + 1):
        factors = factors + _gaussian(distance + m * period) + _gaussian(distance - m * period)
    return factors


def _gaussian(distance: Tensor) -> Tensor:
    return torch.exp(-distance.square().clamp(max=LARGEST_EXPONENT))


def _overlap_add(image: Tensor, block_dim: int, pixel_dim: int, halo: int) -> Tensor:
    """Add the halos of neighbouring blocks along one axis to the blocks they reach into, periodically."""
    if halo == 0:
        return image
    size = image.shape[pixel_dim] - 2 * halo
    core = image.narrow(pixel_dim, halo, size).clone()
    before, after = image.narrow(pixel_dim, 0, halo), image.narrow(pixel_dim, halo + size, halo)
    core.narrow(pixel_dim, size - halo, halo).add_(before.roll(-1, block_dim))
    core.narrow(pixel_dim, 0, halo).add_(after.roll(1, block_dim))
    return core


def rasterize_open(
    positions: Tensor, weights: Tensor, box_A: Sequence[float], shape: Sequence[int], sigma_A: float
) -> Tensor:
    """Non-periodic images of small clusters, for dimers: positions (B, N, D) Angstrom, weights (B, N) -> (B,
    1, ...).

    D is 2 (pixels; shape H W, box Ly Lx as `shape`) or 3 (voxels; shape of z, y, x). The last axis of the
    image is x, and voxel i of an axis lies at (i + 1/2) L / n: there is no period to repeat.
    """
    dims = positions.shape[-1]
    if dims not in (2, 3) or len(shape) != dims or len(box_A) != dims:
        raise InputError(f"open images have 2 or 3 axes; got positions of {dims}, shape {tuple(shape)}, box {box_A}")
    factors = []
    for axis, (n_px, length) in enumerate(zip(shape, box_A, strict=True)):
        grid = (torch.arange(n_px, dtype=positions.dtype, device=positions.device) + 0.5) * (float(length) / n_px)
        distance = grid - positions[..., dims - 1 - axis, None]  # (B, N, n_px)
        factors.append(torch.exp(-distance.square() / (2.0 * sigma_A**2)))
    factors[0] = factors[0] * weights[..., None]
    sums = "bny,bnx->byx" if dims == 2 else "bnz,bny,bnx->bzyx"
    return torch.einsum(sums, *factors)[:, None]
