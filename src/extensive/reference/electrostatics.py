"""GPAW's Poisson solver on one process: the eigenvalues of its Laplacian along each axis alone, and no redistribution.

On a grid of N points along an axis a wave k turns by w = exp(2 pi i k / N) from point to point, so a stencil of
coefficients c_p at offsets o_p has the eigenvalues sum_p c_p (w_x^o_px w_y^o_py w_z^o_pz - 1). GPAW takes the powers on
the whole grid; nearly all offsets lie along one axis, where they are powers of N numbers.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

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


@contextmanager
def one_process_poisson() -> Iterator[None]:
    """GPAW's fast Poisson solver inside, where one process has the whole grid, is set up and applied sooner."""
    from gpaw import poisson

    own_setup, own_copy, laplace = poisson.FastPoissonSolver.set_grid_descriptor, poisson.grid2grid, poisson.Laplace

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

    def grid2grid(comm: Any, source: Any, target: Any, source_g: Any, target_g: Any, *args: Any, **kwargs: Any) -> None:
        if comm.size == 1 and source_g.shape == target_g.shape:
            target_g[:] = source_g
        else:
            own_copy(comm, source, target, source_g, target_g, *args, **kwargs)

    poisson.FastPoissonSolver.set_grid_descriptor, poisson.grid2grid = set_grid_descriptor, grid2grid
    try:
        yield
    finally:
        poisson.FastPoissonSolver.set_grid_descriptor, poisson.grid2grid = own_setup, own_copy
