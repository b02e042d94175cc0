"""What a calculation on a coarser grid, with fewer k-points, hands on: its density, and its mixer's memory.

A Pulay mixer extrapolates from earlier densities n_h and their residuals R(n_h) = n_out(n_h) - n_h to where the
residual is least. With more k-points the residual is another function, R', but it changes with the density as R does:
electrons screen alike. So R'(n_h) is taken to be R(n_h) + R'(n) - R(n), with n the density at which one calculation
ends and the other begins, and the steps that the first calculation learned serve the second. Densities and residuals
are smooth functions: Fourier interpolation takes them from one grid to the other.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def hand_over(coarse: Any, calculator: Any, refined: Callable[[], np.ndarray | None]) -> None:
    """Give `calculator` (GPAW) the density that `coarse` has converged to, and let it mix with the memory of `coarse`.

    Both have the same atoms. The last residual of `coarse`, which its own loop did not need, is added here. `refined`
    gives the density (s, x, y, z) of the wave functions of `coarse` on the grid of `calculator`; None: interpolate it.
    """
    mixer, density = coarse.dft.scf_loop.mixer, coarse.dft.density
    densities = _entries(mixer.nt_hsX)
    begun = density.nt_sR.data.copy(), density.D_asii.data.copy()
    density.update(coarse.dft.ibzwfs, ked=False)
    residual = density.nt_sR.data - begun[0], density.D_asii.data - begun[1]
    residuals = [*_entries(mixer.R_hsX), residual][-len(densities) :]
    dft = calculator.dft
    found, shape = dft.density, dft.density.nt_sR.data.shape[-3:-1]
    output = refined()
    found.nt_sR.data[:] = interpolated(density.nt_sR.data, shape) if output is None else output
    found.D_asii.data[:] = density.D_asii.data
    dft.ibzwfs.normalize_density(found)
    found.nt_sR.data[:] -= interpolated(residual[0], shape)
    found.D_asii.data[:] = begun[1]
    if len(densities) < 2:
        return
    finer, entry = dft.scf_loop.mixer, (found.nt_sR.copy(), found.D_asii.copy())
    for values, matrices in densities:
        # What the coarser grid cannot hold is in none of the differences.
        entry[0].data[:] = found.nt_sR.data + interpolated(values - begun[0], shape)
        entry[1].data[:] = matrices
        finer.nt_hsX.add(*entry)
    for values, matrices in residuals:
        residual_sX, residual_asii = finer.R_hsX.next()
        residual_sX.data[:], residual_asii[:] = interpolated(values, shape), matrices
        finer.add_compensation_charge(residual_sX, residual_asii, found, out=finer.Rc_hsX.next())
    dft.scf_loop.mixer = _Continued(finer)


def _entries(history: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Functions on the grid and atomic matrices of a mixer's memory, the oldest first."""
    entries = [history[h] for h in range(history.nold)]
    return [(function.data.copy(), np.array(matrices)) for function, matrices in entries]


def interpolated(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Functions (..., x, y, z), periodic along x and y, on a grid of at least as many points `shape` along these."""
    if values.shape[-3:-1] == shape:
        return values
    coarse = np.fft.fft2(values, axes=(-3, -2))
    fine = np.zeros((*values.shape[:-3], *shape, values.shape[-1]), complex)
    # Waves that an even number of points has no sign for are left out.
    waves = [np.arange(-((count - 1) // 2), (count - 1) // 2 + 1) for count in values.shape[-3:-1]]
    chosen = ..., waves[0][:, None], waves[1], slice(None)
    fine[chosen] = coarse[chosen]
    return np.fft.ifft2(fine, axes=(-3, -2)).real * (np.prod(shape) / np.prod(values.shape[-3:-1]))


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
