"""GPAW's LCAO eigenvalue problem for the bands that are kept, in real numbers where it is real: the same, sooner.

GPAW solves H C = S C eps for all M basis functions, of which it keeps N bands (a fifth), with full matrices L of

    L S L+ = 1,      (L H L+) c = eps c,      C = L+ c,

and in complex numbers for every k-point but Gamma. Here only the N lowest eigenvectors are found, products with L use
that it is triangular, the projector functions of all atoms are one matrix, and at k-points that are their own
time-reversed ones (components 0 or 1/2, as in cells of 240 atoms) all of it is real. GPAW's way is most of the time of
large cells. While the density is only a start, all of it is in single precision (`precision` of the basis functions).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import get_blas_funcs

from extensive.reference.blocked import precision

# Largest imaginary part, relative to the largest element, of matrices that are real but for rounding.
REAL_TOLERANCE = {np.dtype(complex): 1e-12, np.dtype(np.complex64): 1e-5}


def _is_real(matrix: np.ndarray) -> bool:
    if np.isrealobj(matrix):
        return True
    limit = REAL_TOLERANCE[matrix.dtype] * np.abs(matrix.real).max(initial=1e-300)
    return np.abs(matrix.imag).max(initial=0.0) <= limit


def hamiltonian_matrix(terms: Any, wfs: Any) -> np.ndarray:
    """H (M, M) at one k-point, Hermitian: potential on the grid, projectors and kinetic energy; real where it can be.

    `terms` is GPAW's `CollinearHamiltonianMatrixCalculator`, with the potential's matrices (X, M, M) by displacement.
    """
    potential = terms.V_sxMM[wfs.spin]
    phases = 2 * np.exp(-2j * np.pi * terms.basis.sdisp_xc[1:] @ wfs.kpt_c)
    projectors = np.concatenate(list(wfs.P_aMi.values()), axis=1)
    strong = np.concatenate([P_Mi @ terms.dH_saii[wfs.spin][a] for a, P_Mi in wfs.P_aMi.items()], axis=1)
    kinetic = wfs.T_MM.data
    if precision(terms.basis) == np.float32:
        phases, projectors, strong, kinetic = (
            matrix.astype(np.complex64) for matrix in (phases, projectors, strong, kinetic)
        )
    real = _is_real(phases) and _is_real(projectors) and _is_real(kinetic)
    if real:
        phases, projectors, strong, kinetic = phases.real, projectors.real, strong.real, kinetic.real
    matrix = kinetic + strong.conj() @ projectors.T
    # Real matrices weighed with the real and the imaginary part of their phases: one product each.
    flat = potential.reshape(len(potential), -1)
    matrix += (np.concatenate([np.ones(1, phases.real.dtype), phases.real]) @ flat).reshape(matrix.shape)
    if not real:
        matrix.imag += (phases.imag @ flat[1:]).reshape(matrix.shape)
    # Half of the potential's displacements are there; with the conjugate come the others.
    matrix += matrix.conj().T
    matrix *= 0.5
    return matrix


def lowest_bands(matrix: np.ndarray, lower: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (N,) ascending and eigenvectors (N, M) of the N = `count` lowest bands.

    `matrix` is H (M, M), Hermitian; `lower` is L (M, M), lower triangular, with L S L+ = 1. All is in the number type
    of `matrix`.
    """
    number_type = np.result_type(matrix, np.complex64)
    matrix, lower = matrix.astype(number_type, copy=False), lower.astype(number_type, copy=False)
    real = _is_real(matrix) and _is_real(lower)
    if real:
        matrix, lower = matrix.real, lower.real
    (multiply,) = get_blas_funcs(("trmm",), (matrix,))
    half = multiply(1.0, lower, matrix, side=0, lower=1)
    reduced = multiply(1.0, lower, half, side=1, lower=1, trans_a=2)
    energies, vectors = eigh(reduced, subset_by_index=(0, count - 1), overwrite_a=True, check_finite=False)
    return energies, multiply(1.0, lower, vectors, side=0, lower=1, trans_a=2).T


@contextmanager
def kept_bands_only() -> Iterator[None]:
    """GPAW's LCAO calculations inside solve for the kept bands only, where one process has a k-point to itself."""
    from gpaw.core.matrix import MatrixWithNoData
    from gpaw.new.lcao.eigensolver import LCAOEigensolver
    from gpaw.new.lcao.hamiltonian import CollinearHamiltonianMatrixCalculator

    own = LCAOEigensolver.iterate1

    def iterate1(self: Any, wfs: Any, weight_n: Any, matrix_calculator: Any) -> None:
        alone = wfs.domain_comm.size == wfs.C_nM.dist.comm.size == 1
        collinear = isinstance(matrix_calculator, CollinearHamiltonianMatrixCalculator)
        if not (alone and wfs.dtype == complex and collinear and matrix_calculator.include_kinetic):
            own(self, wfs, weight_n, matrix_calculator)
            return
        if isinstance(wfs.C_nM, MatrixWithNoData):  # before the first iteration
            wfs.C_nM = wfs.C_nM.create()
        matrix = hamiltonian_matrix(matrix_calculator, wfs)
        energies, wfs.C_nM.data[:] = lowest_bands(matrix, wfs.L_MM.data, wfs.nbands)
        wfs.eig_n = energies.astype(float)
        wfs._P_ani = None  # projections of the old bands

    LCAOEigensolver.iterate1 = iterate1
    try:
        yield
    finally:
        LCAOEigensolver.iterate1 = own
