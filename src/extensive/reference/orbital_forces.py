"""Forces of GPAW's LCAO method that need no grid: kinetic energy, overlap and projectors, as products of matrices.

With rho the density matrix of a k-point and E the one weighted with the eigenvalues, the force on atom a is

    F_a = 2 Re sum_(1 in a, 2) [dT(1, 2) rho(2, 1) - dS(1, 2) E(2, 1)]
        + 2 Re sum_b [sum_(1 in a) - delta_ab sum_1] sum_i dP_b(1, i) W_b(1, i),
    W_b(1, i) = sum_(j, 2) [dH_b(i, j) rho(2, 1) - dO_b(i, j) E(2, 1)] P_b(2, j)*,

with derivatives d with respect to the place of function 1. GPAW makes an M x M matrix for each atom and direction.
"""

from typing import Any

import numpy as np


def orbital_forces(wfs: Any, potential: Any, density_matrix: np.ndarray) -> np.ndarray:
    """Forces (A, 3), Hartree/Bohr, of one k-point; `density_matrix` (M, M) with its weight and spins."""
    overlap_vMM, kinetic_vMM, projectors_avMi = wfs.tci_derivatives.calculate_derivatives(wfs.q)
    rho = density_matrix.T
    weighted = wfs.calculate_density_matrix(transposed=True, eigs=True)
    starts = np.cumsum([0] + [sphere.Mmax for sphere in wfs.basis.sphere_a])[:-1]

    def by_atom(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts, axis=-1)

    per_function = np.array(
        [
            np.einsum("mn,mn->m", kinetic, rho).real - np.einsum("mn,mn->m", overlap, weighted).real
            for kinetic, overlap in zip(kinetic_vMM, overlap_vMM)
        ]
    )
    forces = by_atom(per_function).T.copy()
    atoms = list(wfs.P_aMi)
    strengths = [(potential.dH_asii[b][wfs.spin], wfs.setups[b].dO_ii, wfs.P_aMi[b].conj()) for b in atoms]
    partners = rho @ np.concatenate([P_Mi @ dH_ii.T for dH_ii, _, P_Mi in strengths], axis=1)
    partners -= weighted @ np.concatenate([P_Mi @ dO_ii.T for _, dO_ii, P_Mi in strengths], axis=1)
    last = np.cumsum([P_Mi.shape[1] for _, _, P_Mi in strengths])
    for b, end, (_, _, P_Mi) in zip(atoms, last, strengths):
        part = np.einsum("vmi,mi->vm", projectors_avMi[b], partners[:, end - P_Mi.shape[1] : end]).real
        forces += by_atom(part).T
        forces[b] -= part.sum(axis=1)
    return 2.0 * forces
