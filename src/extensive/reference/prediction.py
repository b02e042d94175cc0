"""A better start of the self-consistency of a structure that resembles earlier ones.

The density matrices of the last structures, each in its own symmetrically orthogonalised (Loewdin) basis, are smooth
functions of the positions. The combination of earlier structures that comes nearest to the new positions is therefore
taken of their density matrices too, and carried over (the idea of Polack, Mikhalev, Dusson, Stamm and Lipparini, Mol.
Phys. 118, e1779834 (2020)). What SCF converges to is untouched, only where it starts.
"""

import collections
from typing import Any

import numpy as np
from ase import Atoms
from scipy.linalg import eigh

# Density matrices that are kept, at 20 MB each for 60 atoms at two k-points.
HISTORY = 8
# Positions that differ by this are as good as equal: keeps the weights of the combination small.
NEAR_A = 0.003


def combination_weights(offsets_A: np.ndarray) -> np.ndarray:
    """Weights (K,), adding up to 1, of K earlier structures, for the nearest combination to the new one.

    `offsets_A` (K, N, 3) are their positions less the new ones: |sum_k w_k offset_k|^2 is minimised, with a penalty
    on large weights.
    """
    flat = offsets_A.reshape(len(offsets_A), -1)
    matrix = flat @ flat.T + NEAR_A**2 * flat.shape[1] * np.eye(len(flat))
    weights = np.linalg.solve(matrix, np.ones(len(flat)))
    return weights / weights.sum()


class DensityPredictor:
    """Moves a GPAW LCAO calculator to new positions with a predicted density."""

    def __init__(self) -> None:
        # of each structure: fractional positions, and the density matrix at each k-point
        self._history: collections.deque[tuple[np.ndarray, list[np.ndarray]]] = collections.deque(maxlen=HISTORY)
        self._roots: list[tuple[np.ndarray, np.ndarray]] | None = None

    def forget(self) -> None:
        """Drop the history: the next structure starts afresh."""
        self._history.clear()
        self._roots = None

    def remember(self, calculator: Any) -> None:
        """Keep the converged density matrix of `calculator`, in the Loewdin basis."""
        roots = self._roots or [_overlap_roots(wfs) for wfs in calculator.dft.ibzwfs]
        densities = [_orthogonal_density(wfs, root) for wfs, (root, _) in zip(calculator.dft.ibzwfs, roots)]
        self._history.appendleft((calculator.dft.relpos_ac.copy(), densities))
        self._roots = None

    def move(self, calculator: Any, sheet: Atoms) -> None:
        """Move `calculator` to `sheet` (species, cell and grid of the structures remembered), density predicted."""
        dft = calculator.dft
        new_ac = sheet.get_scaled_positions()
        offsets = np.array([old_ac - new_ac for old_ac, _ in self._history])
        weights = combination_weights((offsets - np.round(offsets)) @ sheet.cell.array)
        plain_move = dft.ibzwfs.move

        def move_and_predict(relpos_ac: np.ndarray, atomdist: Any) -> None:
            plain_move(relpos_ac, atomdist)
            self._roots = [_overlap_roots(wfs) for wfs in dft.ibzwfs]
            for index, (wfs, (_, inverse_root)) in enumerate(zip(dft.ibzwfs, self._roots)):
                predicted = sum(
                    weight * _rotated(wfs, densities[index], relpos_ac - old_ac)
                    for weight, (old_ac, densities) in zip(weights, self._history)
                )
                _set_density(wfs, predicted, inverse_root)

        # GPAW computes the new density from the coefficients between moving them and the SCF.
        dft.ibzwfs.move = move_and_predict
        try:
            calculator.move_atoms(sheet)
        finally:
            del dft.ibzwfs.move


def _overlap_roots(wfs: Any) -> tuple[np.ndarray, np.ndarray]:
    """S^(1/2) and S^(-1/2), (M, M) each for M basis functions."""
    values, vectors = eigh(wfs.S_MM.data, lower=True)
    root = np.sqrt(np.maximum(values, 1e-12))
    return (vectors * root) @ vectors.conj().T, (vectors / root) @ vectors.conj().T


def _orthogonal_density(wfs: Any, root: np.ndarray) -> np.ndarray:
    """S^(1/2) rho S^(1/2), (M, M), occupations between 0 and 1."""
    orbitals = root @ wfs.C_nM.data.T  # (M, bands)
    return (orbitals * wfs.occ_n) @ orbitals.conj().T


def _rotated(wfs: Any, density: np.ndarray, moved_ac: np.ndarray) -> np.ndarray:
    """A density matrix with the phases of atoms that left the cell on one side and came in on the other."""
    phases = np.exp(2j * np.pi * np.round(moved_ac) @ wfs.kpt_c)
    if np.isrealobj(density) or np.allclose(phases, 1.0):
        return density
    each = np.repeat(phases, [sphere.Mmax for sphere in wfs.basis.sphere_a])
    return each[:, None] * density * each.conj()


def _set_density(wfs: Any, density: np.ndarray, inverse_root: np.ndarray) -> None:
    """Give `wfs` the natural orbitals of a density matrix in the Loewdin basis, and their occupations."""
    size = len(density)
    occupations, natural = eigh(density, subset_by_index=(size - wfs.nbands, size - 1))
    occupations = np.clip(occupations, 0.0, 1.0)
    # What was clipped or left out goes to the occupied ones: the number of electrons is kept.
    occupations *= np.trace(density).real / occupations.sum()
    wfs.C_nM.data[:] = (inverse_root @ natural).T[::-1]
    wfs._occ_n = occupations[::-1].copy()
    wfs._P_ani = None
