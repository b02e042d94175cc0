"""Energy per element, fitted to the training set: what a count of the atoms explains is not left to the
network.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from extensive import keys
from extensive.errors import InputError


def count_elements(structures: Sequence[Atoms], elements: Sequence[str]) -> np.ndarray:
    """How many atoms of each element: (B, len(elements)) float64. Raises InputError for any other element."""
    wanted = [atomic_numbers[symbol] for symbol in elements]
    counts = np.array([[np.sum(atoms.numbers == number) for number in wanted] for atoms in structures], float)
    counts = counts.reshape(len(structures), len(wanted))
    for atoms, row in zip(structures, counts):
        if row.sum() != len(atoms):
            strange = sorted(set(atoms.get_chemical_symbols()) - set(elements))
            name = atoms.info.get(keys.STRUCTURE_ID, atoms.symbols)
            raise InputError(f"{name}: element {strange[0]} is not one of {list(elements)}")
    return counts


def fit_reference_energies(structures: Sequence[Atoms], elements: Sequence[str]) -> dict[str, float]:
    """Least-squares energies per element (eV), E = sum over elements of n_e E_e, from REF_energy.

    Where the compositions leave a direction open (hBN alone fixes only E_B + E_N), the shortest solution is
    taken. Exact when the energies are additive. Raises InputError without structures.
    """
    if not structures:
        raise InputError("no structures to fit per-element energies to; the training set is empty")
    counts = count_elements(structures, elements)
    energies = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures], float)
    # Per atom, so that a large cell weighs no more than a small one.
    atoms_each = counts.sum(axis=1)
    solution = np.linalg.lstsq(counts / atoms_each[:, None], energies / atoms_each, rcond=1e-9)[0]
    return {symbol: float(value) for symbol, value in zip(elements, solution)}
