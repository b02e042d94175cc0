"""GPAW's Poisson solver on one process: its eigenvalues along each axis alone, and transforms of real numbers.

On a grid of N points along an axis a wave k turns by w = exp(2 pi i k / N) from point to point, so a stencil of
coefficients c_p at offsets o_p has the eigenvalues sum_p c_p (w_x^o_px w_y^o_py w_z^o_pz - 1). GPAW takes the powers on
the whole grid; nearly all offsets lie along one axis, where they are powers of N numbers.

Densities are real, so of the waves in the plane half are enough: the others are their conjugates. GPAW transforms all.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import fft

# Smaller eigenvalues are those of a constant, which the potential leaves open.
SMALLEST = 1e-10


def stencil_eigenvalues(solver: Any, coefficients: Any, offsets: Any) -> np.ndarray:
    """Eigenvalues (Nx, Ny, Nz), real, of a stencil on the grid of `solver`, in the order of its transforms."""
    grid = solver.gd2d
    waves = []
    for axis in range(3):
        turn = (1j if axis in solver.fst_axes else 2j) * math.pi / grid.N_c[axis]
        steps = np.exp(turn * (np.arange(grid.n_c[axis]) + grid.beg_c[axis]))
        waves.append(steps.reshape([-1 if other == axis else 1 for other in range(3)]))
    total = np.zeros(tuple(grid.n_c), dtype=complex)
    along: dict[int, Any] = dict.fromkeys(range(3), 0.0)
    for coefficient, offset in zip(coefficients, offsets):
        moved = np.flatnonzero(offset)
        factor: Any = 1.0
        for axis in moved:
            factor = factor * waves[axis] ** int(offset[axis])
        if len(moved) == 1:
            along[moved[0]] = along[moved[0]] + coefficient * (factor - 1.0)
        elif len(moved):
            total += coefficient * (factor - 1.0)
    return (total + along[0] + along[1] + along[2]).real


def real_solution(solver: Any, density: np.ndarray) -> np.ndarray:
    """Potential (Nx, Ny, Nz) of a neutral density on the grid of `solver`, periodic in the plane and zero above it.

    The sine transform along z is its own inverse, but for a factor 2 (Nz + 1).
    """
    plane, shape = (0, 1), density.shape
    waves = fft.rfft2(fft.dst(density, type=1, axis=2), axes=plane, overwrite_x=True)
    waves *= solver.inv_fft_lambdas[:, : waves.shape[1]]
    found = fft.irfft2(waves, s=shape[:2], axes=plane, overwrite_x=True)
    found = fft.dst(found, type=1, axis=2, overwrite_x=True)
    found /= 2 * (shape[2] + 1)
    return found


def _is_sheet(solver: Any) -> bool:
    """Whether this process has the whole grid, periodic in the plane only."""
    periodic = tuple(bool(axis) for axis in solver.gd.pbc_c)
    return solver.gd.comm.size == 1 and periodic == (True, True, False) and not len(solver.cholesky_axes)


@contextmanager
def one_process_poisson() -> Iterator[None]:
    """GPAW's fast Poisson solver inside, where one process has the whole grid, is set up and applied sooner."""
    from gpaw import poisson

    solver = poisson.FastPoissonSolver
    own_setup, own_solve, laplace = solver.set_grid_descriptor, solver.solve_neutral, poisson.Laplace

    def set_grid_descriptor(self: Any, gd: Any) -> None:
        if gd.comm.size > 1:
            own_setup(self, gd)
            return
        stencils = []

        def empty(*args: Any, **kwargs: Any) -> Any:
            stencils.append(laplace(*args, **kwargs))
            return SimpleNamespace(description=stencils[0].description, coef_p=(), offset_pc=())

        poisson.Laplace = empty
        try:
            own_setup(self, gd)
        finally:
            poisson.Laplace = laplace
        values = stencil_eigenvalues(self, stencils[0].coef_p, stencils[0].offset_pc)
        with np.errstate(divide="ignore"):
            self.inv_fft_lambdas = np.where(np.abs(values) > SMALLEST, 1.0 / values, 0.0)

    def solve_neutral(self: Any, phi_g: np.ndarray, rho_g: np.ndarray, *args: Any, **kwargs: Any) -> None:
        if _is_sheet(self):
            phi_g[:] = real_solution(self, rho_g)
        else:
            own_solve(self, phi_g, rho_g, *args, **kwargs)

    solver.set_grid_descriptor, solver.solve_neutral = set_grid_descriptor, solve_neutral
    try:
        yield
    finally:
        solver.set_grid_descriptor, solver.solve_neutral = own_setup, own_solve
