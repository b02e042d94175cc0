"""The auxiliary loss on charges of edges, beside energies and forces, of a network with charge equilibration.

What sharing a potential is worth goes with the square of a sheet's charge (`models.equilibration`), so that nothing
pulls at a charge that is zero: charges that no element brings along, those of edges and pores, are not found by the
energies alone; and with the loss in the first third of a training only, charges of pores went back to half of what they
had been, where energies had not caught up with them yet.
"""

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list

from extensive.models.equilibration import first_charges

# Of the squared error of charges (electrons^2 a structure), in the loss, at the beginning; it falls to nothing evenly,
# by the end of the training.
AUXILIARY_WEIGHT = 0.03
# Atoms are bonded that are nearer than this many times the sum of their covalent radii.
BOND = 1.25
# Bonds of an atom within a honeycomb.
HONEYCOMB_BONDS = 3


def missing_neighbours(atoms: Atoms) -> int:
    """Neighbours that the atoms of a sheet lack, in all: an atom of a perfect honeycomb has three."""
    bonds = np.bincount(neighbor_list("i", atoms, natural_cutoffs(atoms, mult=BOND)), minlength=len(atoms))
    return int(np.maximum(HONEYCOMB_BONDS - bonds, 0).sum())


def edge_charge(atoms: Atoms, per_neighbour_e: float, channels: str | tuple[str, ...]) -> float | None:
    """Charge (electrons) that the edges of a sheet give to it, with `per_neighbour_e` for each missing neighbour.

    None of a sheet in which elements bring charges of their own: how much of those stays with an edge is to be learned.
    """
    own = dict(zip(channels, first_charges(channels))) if not isinstance(channels, str) else {}
    if any(own.get(symbol, 0.0) for symbol in set(atoms.get_chemical_symbols())):
        return None
    return per_neighbour_e * missing_neighbours(atoms)


def auxiliary_weight(progress: float) -> float:
    """Weight of charges in the loss, at the fraction `progress` of the training."""
    return AUXILIARY_WEIGHT * (1.0 - progress)
