"""GPAW's exchange-correlation energy inside the atoms, for all directions at once: the same numbers, sooner.

GPAW integrates a GGA over spheres around each atom along 50 directions n of a Lebedev grid, one after another; sixty
atoms take some 10,000 calls an iteration. Here one call has all directions of an atom.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def gga_expansion(kernel: Any, rgd: Any, D_Lq: np.ndarray, n_qg: np.ndarray, core_g: np.ndarray) -> tuple:
    """Energy (Hartree) and its derivative (q, L) by `D_Lq`, of the density sum_Lq D_Lq n_q(g) Y_L, without spin."""
    from gpaw.sphere.lebedev import Y_nL, weight_n
    from gpaw.xc.pawcorrection import rnablaY_nLv

    count = len(D_Lq)
    Y_nL, slopes_nLv = Y_nL[:, :count], rnablaY_nLv[:, :count]
    n_Lg = D_Lq @ n_qg
    n_Lg[0] += core_g
    dndr_Lg = np.array([rgd.derivative(n_g) for n_g in n_Lg])
    n_ng = Y_nL @ n_Lg
    a_ng = Y_nL @ dndr_Lg
    b_vng = np.tensordot(slopes_nLv, n_Lg, axes=(1, 0)).transpose(1, 0, 2)
    sigma_ng = np.einsum("vng,vng->ng", b_vng, b_vng)
    sigma_ng[:, 1:] /= rgd.r_g[1:] ** 2
    sigma_ng[:, 0] = sigma_ng[:, 1]
    sigma_ng += a_ng**2
    energy_ng, dedn_ng, dedsigma_ng = np.zeros_like(n_ng), np.zeros_like(n_ng), np.zeros_like(n_ng)
    kernel.calculate(
        energy_ng.reshape(-1), n_ng.reshape(1, -1), dedn_ng.reshape(1, -1),
        sigma_ng.reshape(1, -1), dedsigma_ng.reshape(1, -1),
    )  # fmt: skip
    gradient_ng = np.empty_like(n_ng)
    for source_g, target_g in zip(-2 * rgd.dv_g * dedsigma_ng * a_ng, gradient_ng):
        rgd.derivative2(source_g, target_g)
    gradient_ng[:, 1:] /= rgd.dv_g[1:]
    gradient_ng[:, 0] = gradient_ng[:, 1]
    radial_nq = (rgd.dv_g * (dedn_ng + gradient_ng)) @ n_qg.T
    angular_vnq = (rgd.dr_g * dedsigma_ng * b_vng) @ n_qg.T
    derivative_qL = (weight_n[:, None] * radial_nq).T @ Y_nL
    derivative_qL += 8 * np.pi * np.einsum("n,nLv,vnq->qL", weight_n, slopes_nLv, angular_vnq, optimize=True)
    return float(weight_n @ rgd.integrate(energy_ng)), derivative_qL


@contextmanager
def all_directions_at_once() -> Iterator[None]:
    """GPAW's GGA calculations without spin inside treat all directions around an atom together."""
    from gpaw.xc.gga import GGARadialCalculator, GGARadialExpansion

    own = GGARadialExpansion.__call__

    def expansion(self: Any, rgd: Any, D_sLq: np.ndarray, n_qg: np.ndarray, nc0_sg: np.ndarray) -> tuple:
        if len(D_sLq) != 1 or type(self.rcalc) is not GGARadialCalculator:
            return own(self, rgd, D_sLq, n_qg, nc0_sg)
        energy, derivative_qL = gga_expansion(self.rcalc.kernel, rgd, D_sLq[0], n_qg, nc0_sg[0])
        return energy, derivative_qL[None]

    GGARadialExpansion.__call__ = expansion
    try:
        yield
    finally:
        GGARadialExpansion.__call__ = own
