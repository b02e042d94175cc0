"""What strain does to a network's energy, at a fixed number of pixels.

A strain moves atoms and pixels alike, so that an atom stays where it is among the pixels. What changes are the lengths
and the angle of a pixel's steps: the image of each atom in units of pixels, and the features that condition it.
Both depend on the steps P by P^T P alone, so that a rotation changes nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from extensive.errors import InputError
from extensive.images.oblique import Torus, rasterize_oblique, torus_of
from extensive.images.placement import Placed
from extensive.images.raster import AtomBatch, channel_weights
from extensive.models.potential import Potential

# Terms of the series of atanh(x) / x, for the small x of nearly square pixels.
TERMS = 8


def on_pixels(potential: Potential, placed: Placed) -> Placed:
    """A sheet with its period vectors in pixels, also where these are upright."""
    if not placed.upright:
        return placed
    height, width = potential.image_shape(placed.cell)
    periods = np.diag([width, height])
    return dataclasses.replace(placed, periods=periods, pixels_A=np.diag(placed.cell / (width, height)))


def logarithm(squares: Tensor) -> Tensor:
    """Logarithm of symmetric matrices (..., 2, 2) near a multiple of the identity; smooth at it, as eigh is not."""
    mean = 0.5 * (squares[..., 0, 0] + squares[..., 1, 1])
    difference, shear = 0.5 * (squares[..., 0, 0] - squares[..., 1, 1]), squares[..., 0, 1]
    ratio = (difference.square() + shear.square()) / mean.square()
    slope = sum(ratio**k / (2 * k + 1) for k in range(TERMS)) / mean
    middle = torch.log(mean) + 0.5 * torch.log1p(-ratio)
    rows = middle + slope * difference, slope * shear, slope * shear, middle - slope * difference
    return torch.stack(rows, dim=-1).unflatten(-1, (2, 2))


def strained_images(
    potential: Potential, batch: AtomBatch, matrices: Tensor, torus: Torus, strains: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Images (B, C, H, W) and what the network is told of the pixels (B, 3), of sheets at `strains` (B, 2, 2).

    `matrices` (B, 2, 2): the steps of the unstrained pixels, Angstrom. Differentiable twice.
    """
    config, positions = potential.config, batch.positions
    deformed = torch.eye(2, dtype=strains.dtype, device=strains.device) + 0.5 * (strains + strains.transpose(1, 2))
    steps = deformed @ matrices
    moved = (deformed.to(positions)[batch.index] @ positions[:, :, None])[:, :, 0]
    weights = channel_weights(batch.numbers, config.channels, positions.dtype)
    images = rasterize_oblique(moved, weights, batch.index, steps.to(positions.dtype), torus, config.sigma_A)
    if not config.pitch_channels:
        return images, None
    # 10 log(U / pixel size), U^2 = P^T P
    features = 5.0 * logarithm(steps.transpose(1, 2) @ steps / config.pixel_size_A**2)
    pitch = torch.stack([features[:, 0, 0], features[:, 1, 1], features[:, 0, 1]], dim=1)
    return images, pitch.to(images)


def strained_energy(potential: Potential, placed: Placed, strain: Tensor) -> Tensor:
    """Energy (eV, float64, a scalar) of a sheet on its grid at a `strain` (2, 2) in the grid's axes; differentiable."""
    placed = on_pixels(potential, placed)
    torus = torus_of(placed.periods)
    if not getattr(potential.network, "can_fuse", False):
        raise InputError("stress: the network's tiles are not convolutional; only such an ednn knows sheared pixels")
    network = next(potential.network.parameters())
    kind = torch.promote_types(network.dtype, torch.float32)
    numbers = torch.as_tensor(placed.numbers, dtype=torch.int64, device=network.device)
    positions = torch.as_tensor(placed.positions, dtype=kind, device=network.device)
    cells = torch.as_tensor(np.linalg.norm(placed.vectors, axis=1)[None], dtype=kind)
    batch = AtomBatch(positions, numbers, torch.zeros_like(numbers), cells)
    pixels = torch.as_tensor(placed.pixels_A, dtype=torch.float64)[None]
    images, pitch = strained_images(potential, batch, pixels, torus, strain[None])
    output = potential.network(images, pitch, None, torus.twist)[0]
    reference = sum(potential.reference_energies_eV[chemical_symbols[number]] for number in placed.numbers)
    return reference + potential.energy_scale_eV * output.cpu()


def strain_gradient(potential: Potential, placed: Placed) -> np.ndarray:
    """dE/d(strain) (2, 2) of one cell of a sheet, eV, in the grid's axes."""
    strain = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(strained_energy(potential, placed, strain), strain)
    return gradient.numpy() / placed.copies
