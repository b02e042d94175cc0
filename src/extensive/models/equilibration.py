"""Tiles that share one potential: the energy of a charge that the whole sheet holds, from sums over its tiles.

Charge equilibration (Rappe and Goddard, J. Phys. Chem. 95, 3358 (1991)), without the Coulomb energy between sites: what
sites with electronegativity chi and hardness J gain when charge flows between them until all are at one potential is
-sum chi^2 / 2J, which is each site's own, and

    (sum_t q_t)^2 / (2 sum_t d_t),    q = chi / J,    d = 1 / J,

which no sum over tiles is. A tile network with this readout gives three numbers for every tile: its energy, the
charge q that it gives to the sheet, and its capacity d > 0 to take some. The three sums double with the sheet, and so
does the energy. Electrons of a sheet share a Fermi level at any distance: this is how a tile with a narrow context is
told.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase.data import atomic_numbers
from torch import Tensor
from torch.nn import functional as F

# Softplus of it is 0.3 an atom: what a network that has learned nothing yet says, near what stripes of hBN in graphene
# have in units of the energy scale.
FIRST_CAPACITY = -1.0502256128148466
# Capacity below which there is nothing that could be charged, for images without atoms.
VACUUM = 1e-12


def first_charges(channels: str | Sequence[str]) -> list[float]:
    """Charges of atoms of each image channel (electrons) that learning begins with: what they bring beyond the others.

    Of elements of one row that is the difference of atomic numbers: boron -1, carbon 0, nitrogen 1.
    """
    if isinstance(channels, str):
        return [0.0]
    numbers = [atomic_numbers[symbol] for symbol in channels]
    return [number - sum(numbers) / len(numbers) for number in numbers]


def charged(output: Tensor, atoms: Tensor) -> Tensor:
    """Energy, charge and capacity of patches, (B, 3, H, W), from a network's output (B, 2 + C, H, W).

    The output is an energy, charges of an atom of each channel, and what becomes its capacity; `atoms` (B, C, H, W) are
    the numbers of them in each patch.
    """
    charge = (output[:, 1:-1] * atoms).sum(dim=1, keepdim=True)
    capacity = F.softplus(output[:, -1:] + FIRST_CAPACITY) * atoms.sum(dim=1, keepdim=True)
    return torch.cat([output[:, :1], charge, capacity], dim=1)


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
