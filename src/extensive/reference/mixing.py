"""The mixer's memory, handed from a calculation with coarse k-points to the one with all of them; and a rough start.

A Pulay mixer extrapolates from earlier densities n_h and their residuals R(n_h) = n_out(n_h) - n_h to where the
residual is least. With more k-points the residual is another function, R', but it changes with the density as R does:
electrons screen alike. So R'(n_h) is taken to be R(n_h) + R'(n) - R(n), with n the density at which one calculation
ends and the other begins, and the steps that the first calculation learned serve the second.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def hand_over(coarse: Any, calculator: Any) -> None:
    """Let `calculator` (GPAW), at the density that `coarse` has converged to, mix with the memory of `coarse`.

    Both have the same atoms and grid. The last residual of `coarse`, which its own loop did not need, is added here.
    """
    mixer, density = coarse.dft.scf_loop.mixer, coarse.dft.density
    if mixer.nt_hsX.nold < 2:
        return
    begun = density.nt_sR.data.copy(), density.D_asii.data.copy()
    density.update(coarse.dft.ibzwfs, ked=False)
    _remember_residual(mixer, density)
    density.nt_sR.data[:], density.D_asii.data[:] = begun
    calculator.dft.scf_loop.mixer = _Continued(mixer)


def _remember_residual(mixer: Any, density: Any) -> tuple[Any, Any, Any]:
    """Add the residual of the newest density, whose output is `density`, to the mixer's memory."""
    residual_sX, residual_asii = mixer.R_hsX.next()
    mixer.calculate_residual(density.nt_sR, mixer.nt_hsX[-1][0], residual_sX)
    mixer.calculate_paw_residual(density.D_asii.data, mixer.nt_hsX[-1][1], residual_asii)
    compensated_sX = mixer.Rc_hsX.next()
    mixer.add_compensation_charge(residual_sX, residual_asii, density, out=compensated_sX)
    return residual_sX, residual_asii, compensated_sX


class RoughStart:
    """A mixer for iterations in a rougher arithmetic, which is left, once, where the density is nearly converged.

    Mixes by `mixer` until the error is below `limit` (electrons), then calls `refine`. No density counts as converged
    before, so that the last iteration is always an exact one.
    """

    def __init__(self, mixer: Any, limit: float, refine: Callable[[], None]) -> None:
        self.mixer = mixer
        self.limit = limit
        self.refine: Callable[[], None] | None = refine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.mixer, name)

    def mix(self, density: Any) -> float:
        error = self.mixer.mix(density)
        if self.refine is None:
            return error
        if error < self.limit:
            self.refine()
            self.refine = None
        return np.inf


class _Continued:
    """A mixer that begins with the memory of another calculation; GPAW resets it once, before the first iteration."""

    def __init__(self, mixer: Any) -> None:
        self.mixer = mixer
        self.resets = 0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.mixer, name)

    def reset(self) -> None:
        self.resets += 1
        if self.resets > 1:  # the next calculation, of atoms that have moved
            self.mixer.reset()

    def mix(self, density: Any) -> float:
        self.calls += 1
        if self.resets > 1 or self.calls > 2:
            return self.mixer.mix(density)
        # The first call is of the density that the memory ends with.
        return np.inf if self.calls == 1 else self._first(density)

    def _first(self, density: Any) -> float:
        """Shift all residuals by the difference that the k-points make, then mix as always."""
        mixer = self.mixer
        before = [mixer.R_hsX[-1][0].data.copy(), mixer.R_hsX[-1][1].copy(), mixer.Rc_hsX[-1].data.copy()]
        _forget_newest(mixer)
        after_sX, after_asii, compensated_sX = _remember_residual(mixer, density)
        shifts = [after_sX.data - before[0], after_asii - before[1], compensated_sX.data - before[2]]
        count = mixer.R_hsX.nold
        for h in range(count - 1):
            residual_sX, residual_asii = mixer.R_hsX[h]
            residual_sX.data[:] += shifts[0]
            residual_asii += shifts[1]
            mixer.Rc_hsX[h].data[:] += shifts[2]
        _forget_newest(mixer)  # the mixer adds it, and its products with the others, by itself
        for h in range(count - 1):
            metric_sX = mixer.metric(mixer.Rc_hsX[h])
            one = metric_sX.new(data=metric_sX.data[None], dims=(1, *metric_sX.dims))
            mixer.H_hh[: count - 1, h] = mixer.Rc_hsX.dotprod(one)
        return mixer.mix(density)


def _forget_newest(mixer: Any) -> None:
    for history in (mixer.R_hsX, mixer.Rc_hsX):
        history.current_indicies.pop()
