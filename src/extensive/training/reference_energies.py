"""Energy per element, fitted to the training set: what a count of the atoms explains is not left to the
network.
"""

import json
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from extensive import keys
from extensive.errors import InputError
from extensive.structures.labels import SAME_FREE_ATOM_EV


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


def reference_energies(structures: Sequence[Atoms], elements: Sequence[str]) -> dict[str, float]:
    """Energies (eV) of those `elements` that the structures have: of free atoms where structures carry them
    (REF_isolated), else fitted. What no structure has, nothing is learned of.

    Raises InputError for an element of the structures of which there is no free atom, and for two that differ.
    """
    free: dict[str, float] = {}
    for atoms in structures:
        stored = atoms.info.get(keys.REF_ISOLATED)
        # A reader of extended XYZ makes a mapping of JSON.
        own = (json.loads(stored) if isinstance(stored, str) else stored) or {}
        for symbol, energy in own.items():
            if abs(free.setdefault(symbol, float(energy)) - energy) > SAME_FREE_ATOM_EV:
                name = atoms.info.get(keys.STRUCTURE_ID, atoms.symbols)
                raise InputError(f"{name}: a free {symbol} of {energy:.6g} eV, elsewhere of {free[symbol]:.6g} eV")
    if not free:
        return fit_reference_energies(structures, elements)
    present, _ = _count_present(structures, elements)
    missing = [symbol for symbol in present if symbol not in free]
    if missing:
        raise InputError(
            f"labels.isolated_atoms: reference: there is no isolated {missing[0]} among {', '.join(sorted(free))}"
        )
    return {symbol: free[symbol] for symbol in present}


def fit_reference_energies(structures: Sequence[Atoms], elements: Sequence[str]) -> dict[str, float]:
    """Least-squares energies (eV) of those `elements` that the structures have, E = sum of n_e E_e, from REF_energy.

    Where the compositions leave a direction open (hBN alone fixes only E_B + E_N), the shortest solution is
    taken. Exact when the energies are additive. Raises InputError without structures.
    """
    if not structures:
        raise InputError("no structures to fit per-element energies to; the training set is empty")
    present, counts = _count_present(structures, elements)
    energies = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures], float)
    return dict(zip(present, _least_squares(counts, energies)))


def _count_present(structures: Sequence[Atoms], elements: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Those of the elements that the structures have, and how many atoms of each, (B, E)."""
    counts = count_elements(structures, elements)
    there = counts.any(axis=0)
    return [symbol for symbol, found in zip(elements, there) if found], counts[:, there]


def refit_reference_energies(
    references: dict[str, float], structures: Sequence[Atoms], energies: np.ndarray
) -> dict[str, float]:
    """`references` (eV) of a network that goes on to other labels, changed by what a count of atoms explains.

    `energies` (B,), eV, are the network's of the `structures`. Another code, functional or set of settings has another
    zero for each element, which is not the network's to learn: E - E_network = sum over elements of n_e dE_e, by least
    squares per atom. Where the compositions leave a direction open, it stays as it was. Raises InputError for an
    element that is not among the references.
    """
    counts = count_elements(structures, list(references))
    labels = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures], float)
    return {
        symbol: before + change
        for (symbol, before), change in zip(references.items(), _least_squares(counts, labels - energies))
    }


def _least_squares(counts: np.ndarray, energies: np.ndarray) -> list[float]:
    """The shortest x of counts (B, elements) x = energies (B,), where a large cell weighs as much as a small one."""
    atoms_each = counts.sum(axis=1)
    return np.linalg.lstsq(counts / atoms_each[:, None], energies / atoms_each, rcond=1e-9)[0].tolist()
