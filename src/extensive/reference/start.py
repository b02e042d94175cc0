"""Where the self-consistency of a label starts: at the density that coarser k-points and a coarser grid converge to.

A few iterations with all k-points on the full grid then do the rest: nothing of the result depends on the start.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from extensive.reference.blocked import (
    add_density,
    forget_patches,
    has_patches,
    real_space_matrices,
    set_precision,
)
from extensive.reference.calculator import iterate, new_calculator
from extensive.reference.mixing import RoughStart, hand_over
from extensive.reference.settings import DFTSettings, with_vacuum

# Density error (electrons per electron) at which the coarser calculation has done its part.
COARSE_DENSITY_CONVERGENCE = 1e-3
# Density error, in units of what counts as converged, above which iterations may be in single precision.
NEARLY_CONVERGED = 2.0
# The same in electrons per electron: below it single precision is not trusted, however tight convergence is.
SINGLE_PRECISION_LIMIT = 1e-4


def begin(
    atoms: Atoms,
    settings: DFTSettings,
    mixer: Sequence[float],
    max_iterations: int,
    parallel: dict[str, Any] | None = None,
) -> tuple[Any, int]:
    """A calculator for `atoms` with a density to start from, and the number of iterations that finding it took.

    The density is that of the coarser k-points and grid where the settings name some and this process is alone, else
    of atoms.
    """
    sheet = with_vacuum(atoms, settings)
    calculator = new_calculator(atoms, settings, mixer, max_iterations, parallel)
    if settings.start_kpoints is None or parallel is not None:
        calculator.create_new_calculation(sheet)
        return calculator, 0
    coarse = new_calculator(
        atoms, settings.of_the_start(), mixer, max_iterations, density_convergence=COARSE_DENSITY_CONVERGENCE
    )
    coarse.create_new_calculation(sheet)
    rough = coarse.dft.scf_loop.hamiltonian.basis
    set_precision(rough, np.float32)
    iterations = iterate(coarse)
    dense = has_patches(rough)
    with _without_potential():
        calculator.create_new_calculation(sheet)
    dft = calculator.dft
    basis = dft.scf_loop.hamiltonian.basis
    if dense:
        set_precision(basis, np.float32)
    hand_over(coarse, calculator, lambda: _density_of(coarse.dft, dft))
    dft.potential, dft.energies, _ = dft.pot_calc.calculate(dft.density, dft.ibzwfs)
    if dense:
        limit = max(NEARLY_CONVERGED * settings.density_convergence, SINGLE_PRECISION_LIMIT)
        dft.scf_loop.mixer = RoughStart(
            dft.scf_loop.mixer,
            limit * dft.density.nvalence,
            lambda: set_precision(basis, np.float64),
        )
    return calculator, iterations


def _density_of(coarse: Any, dft: Any) -> np.ndarray | None:
    """Density (1, x, y, z) of the wave functions of `coarse`, on the grid of `dft`; None where sums are GPAW's own."""
    rough, basis = coarse.scf_loop.hamiltonian.basis, dft.scf_loop.hamiltonian.basis
    if not (has_patches(rough) and np.array_equal(rough.sdisp_xc, basis.sdisp_xc)):
        return None
    matrices = {wfs.q: wfs.calculate_density_matrix() for wfs in coarse.ibzwfs}
    forget_patches(rough)
    density = dft.density.nct_R.data.copy()
    add_density(basis, real_space_matrices(rough, matrices), density)
    return density[None]


@contextlib.contextmanager
def _without_potential() -> Iterator[None]:
    """Calculations that are set up inside have no potential yet: that of atoms would not be used."""
    from gpaw.new.pot_calc import PotentialCalculator

    own = PotentialCalculator.calculate_without_orbitals
    PotentialCalculator.calculate_without_orbitals = lambda *args, **kwargs: (None, None, None)
    try:
        yield
    finally:
        PotentialCalculator.calculate_without_orbitals = own
