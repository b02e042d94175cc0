"""Lennard-Jones energies and forces of dimers: the model system of claim C7.

E(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6), without cut-off: a dimer has one distance only, and the networks are
asked for its exact energy (Ryczko et al., Comput. Mater. Sci. 149, 134 (2018)).
"""

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError


def lennard_jones(distance_A: np.ndarray, epsilon_eV: float, sigma_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy (eV) and its derivative (eV/Angstrom) at distances (Angstrom), elementwise."""
    sixth = (sigma_A / distance_A) ** 6
    energy = 4.0 * epsilon_eV * (sixth**2 - sixth)
    derivative = 24.0 * epsilon_eV * (sixth - 2.0 * sixth**2) / distance_A
    return energy, derivative


def label_dimer(atoms: Atoms, epsilon_eV: float, sigma_A: float) -> Atoms:
    """A copy of a dimer with REF_energy (eV) and REF_forces (2, 3) (eV/Angstrom).

    The distance is the direct one within the cell, as dimers are made to lie whole in their box. Raises InputError
    unless there are two atoms apart from each other.
    """
    name = atoms.info.get(keys.STRUCTURE_ID, atoms.get_chemical_formula())
    if len(atoms) != 2:
        raise InputError(f"dimer {name}: {len(atoms)} atoms; a dimer has 2")
    bond = atoms.positions[1] - atoms.positions[0]
    distance = float(np.linalg.norm(bond))
    if not distance > 0:
        raise InputError(f"dimer {name}: its atoms coincide; they must be apart")
    energy, derivative = lennard_jones(np.float64(distance), epsilon_eV, sigma_A)
    labelled = atoms.copy()
    labelled.info[keys.REF_ENERGY] = float(energy)
    labelled.arrays[keys.REF_FORCES] = np.stack([derivative * bond / distance, -derivative * bond / distance])
    return labelled
