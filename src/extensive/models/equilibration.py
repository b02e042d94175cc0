"""Tiles that share one potential: the energy of a charge that the whole sheet holds, from sums over its tiles.

Charge equilibration (Rappe and Goddard, J. Phys. Chem. 95, 3358 (1991)), without the Coulomb energy between sites: what
sites with electronegativity chi and hardness J gain when charge flows between them until all are at one potential is
-sum chi^2 / 2J, which is each site's own, and

    (sum_t q_t)^2 / (2 sum_t d_t),    q = chi / J,    d = 1 / J,

which no sum over tiles is. A tile network with this readout gives three numbers for every tile: its energy, the
charge q that it gives to the sheet, and its softness d > 0. The three sums double with the sheet, and so does the
energy. Electrons of a sheet share a Fermi level at any distance: this is how a tile with a narrow context knows of the
others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from ase.data import atomic_numbers
from torch import Tensor
from torch.nn import functional as F

# Softness of atoms (in units of the energy scale) that learning begins with, from DFT of stripes of hBN in graphene
# (examples/stripe_edges.py): carbon has states at the Fermi level, hBN has hardly any. Of other elements, their mean.
FIRST_SOFTNESS = {"B": 0.05, "C": 0.48, "N": 0.05}
# Softness below which there is nothing that could be charged, for images without atoms.
VACUUM = 1e-12


def first_offsets(channels: str | Sequence[str]) -> Tensor:
    """Offsets (1 + 2 C,) of the last layer that learning begins with: energy, charges and softness of atoms.

    Charges (electrons) are what atoms bring beyond the others, of elements of one row the difference of atomic numbers:
    boron -1, carbon 0, nitrogen 1.
    """
    mean = sum(FIRST_SOFTNESS.values()) / len(FIRST_SOFTNESS)
    named = [channels] if isinstance(channels, str) else channels
    softness = [FIRST_SOFTNESS.get(symbol, mean) for symbol in named]
    offsets = [math.log(math.expm1(value)) for value in softness]
    return torch.tensor([0.0, *first_charges(channels), *offsets])


def first_charges(channels: str | Sequence[str]) -> list[float]:
    """Charges (electrons) of an atom of each channel that learning begins with; 0 in a channel of all elements."""
    if isinstance(channels, str):
        return [0.0]
    numbers = [atomic_numbers[symbol] for symbol in channels]
    return [number - sum(numbers) / len(numbers) for number in numbers]


def charged(output: Tensor, atoms: Tensor) -> Tensor:
    """Energy, charge and softness of patches, (B, 3, H, W), from a network's output (B, 1 + 2 C, H, W).

    The output is an energy, and of an atom of each channel its charge and what softplus makes its softness; `atoms`
    (B, C, H, W) are the numbers of them in each patch.
    """
    charges, softness = output[:, 1:].chunk(2, dim=1)
    parts = output[:, 0], (charges * atoms).sum(dim=1), (F.softplus(softness) * atoms).sum(dim=1)
    return torch.stack(parts, dim=1)


def total_energy(sums: Tensor) -> Tensor:
    """Energy (...) from sums over tiles (..., K): the sum itself with K = 1, and with K = 3 what sharing adds to it."""
    return sums[..., 0] if sums.shape[-1] == 1 else sums[..., 0] + sums[..., 1] * shared_potential(sums) / 2.0


def shared_potential(sums: Tensor) -> Tensor:
    """The potential mu = sum q / sum d (...) that all tiles share, from sums (..., K); 0 with K = 1."""
    return torch.zeros_like(sums[..., 0]) if sums.shape[-1] == 1 else sums[..., 1] / sums[..., 2].clamp_min(VACUUM)


def energies_at(parts: Tensor, potential: Tensor) -> Tensor:
    """Energies e + mu q - mu^2 d / 2 of tiles (B, K, H, W) at a `potential` that is broadcast to (B, H, W).

    At the shared potential they sum to the energy, which does not change with mu there to first order: forces are those
    of these energies with mu held.
    """
    if parts.shape[1] == 1:
        return parts[:, 0]
    return parts[:, 0] + potential * parts[:, 1] - potential**2 * parts[:, 2] / 2.0
