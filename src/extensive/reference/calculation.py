"""One GPAW label: energy, forces, components and the record of how they were found."""

import contextlib
import ctypes
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Ha

from extensive.reference import arithmetic
from extensive.reference.blocked import has_patches, set_precision, share_patches
from extensive.reference.mixing import RoughStart, hand_over
from extensive.reference.occupations import right_fermi_level
from extensive.reference.prediction import DensityPredictor
from extensive.reference.record import versions, with_label
from extensive.reference.settings import (
    DFTSettings,
    check_sheet,
    grid_shape,
    kpoint_list,
    with_vacuum,
)

# Tried after the settings' own mixer: slow, and converges where that does not.
SAFE_MIXER = (0.05, 5, 50.0)
SAFE_ITERATIONS = 300
# Parts of GPAW's free energy must add up to it this closely.
COMPONENT_TOLERANCE_EV = 1e-6
# Density error (electrons per electron) at which the coarser k-points have done their part.
COARSE_DENSITY_CONVERGENCE = 1e-3
# Density error, in units of what counts as converged, above which iterations may be in single precision.
NEARLY_CONVERGED = 2.0
# The same in electrons per electron: below it single precision is not trusted, however tight convergence is.
SINGLE_PRECISION_LIMIT = 1e-4
# A structure whose atoms all moved less than this from the last one starts from the predicted density.
LARGEST_STEP_A = 0.3
# Options of glibc's `mallopt`: no blocks outside the heap, bytes at its end that are given back, bytes asked for.
M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD = -4, -1, -2


class LabelFailed(Exception):
    """A structure that gives no label, now or at another attempt; the message is the reason."""


class Unphysical(Exception):
    """A calculation that ended with numbers that cannot be."""


def is_of_the_structure(error: Exception) -> bool:
    """Whether a calculation failed for what it was given, and would fail again.

    Self-consistency that is not reached, or that runs away to where matrices or energies are no longer numbers. All
    else (memory, an interrupt, a broken installation, a GPAW that has changed) is of the machine.
    """
    from gpaw import KohnShamConvergenceError

    if isinstance(error, ValueError):
        return "NaN" in str(error) or "infs or NaNs" in str(error)
    return isinstance(error, KohnShamConvergenceError | np.linalg.LinAlgError | Unphysical)


def prepare_serial_process() -> None:
    """Make this a serial, single-threaded GPAW process; call before the first import of GPAW.

    A serial GPAW refuses to start under a launcher's variables; with one process per structure, threads only cost.
    """
    for name in ("PMIX_RANK", "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
        os.environ.pop(name, None)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let this process keep what it frees: arrays of the grid's size come and go a hundred times.

    The C library gives large blocks back at once, and getting them anew, zeroed page by page, takes a fifth of a label.
    """
    allocator = getattr(ctypes.CDLL(None), "mallopt", None)
    if allocator is not None:  # glibc; others have their own ways
        for option, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, -1),
            (M_TOP_PAD, 2**26),
        ):
            allocator(option, value)


def new_calculator(
    atoms: Atoms,
    settings: DFTSettings,
    mixer: Sequence[float],
    max_iterations: int,
    parallel: dict[str, Any] | None = None,
    coarse: bool = False,
) -> Any:
    """A GPAW calculator for `atoms`; its grid and k-points fit cells of that shape and supercell only.

    `parallel` is GPAW's split of the ranks that this process is one of, None where it is alone. `coarse`: with the
    k-points that the density is first converged with, as far as it takes.
    """
    if parallel is None:
        prepare_serial_process()
    from gpaw import Mixer
    from gpaw.new.ase_interface import GPAW

    options: dict[str, Any] = {"mode": settings.mode}
    if parallel is not None:
        options["parallel"] = parallel
    if settings.mode == "lcao":
        options["basis"] = settings.basis
    return GPAW(
        **options,
        xc=settings.xc,
        gpts=grid_shape(atoms, settings),
        kpts=kpoint_list(atoms, replace(settings, kpoints=settings.start_kpoints) if coarse else settings),
        occupations={"name": settings.occupations, "width": settings.smearing_eV},
        convergence={"density": COARSE_DENSITY_CONVERGENCE if coarse else settings.density_convergence},
        # Rattled sheets have no point group, and a pristine one must not be sampled otherwise than they are.
        symmetry={"point_group": False},
        mixer=Mixer(*mixer),
        maxiter=max_iterations,
        txt=None,
    )


class Labeller:
    """Labels structures one after another, re-using the calculator where the next structure allows it.

    The density of earlier structures of the same species, cell and grid predicts that of the next: see prediction.py.
    """

    def __init__(
        self,
        settings: DFTSettings,
        reuse: bool = True,
        parallel: dict[str, Any] | None = None,
        own_sums: bool = False,
    ) -> None:
        self.settings = settings
        self.reuse = reuse
        self.parallel = parallel
        # GPAW's own arithmetic, to compare with.
        self.sums = contextlib.nullcontext if own_sums else arithmetic.faster_sums
        self.arithmetic = 0 if own_sums else arithmetic.VERSION
        self._calculator: Any = None
        self._shape: tuple = ()
        self._predictor = DensityPredictor()
        self._last_positions = np.empty((0, 3))

    def label(self, atoms: Atoms) -> Atoms:
        """A copy of `atoms` (N atoms) with REF_energy (eV), REF_forces (N, 3) (eV/A), components and record.

        The energy is GPAW's free energy, of which the forces are the exact derivative. Raises LabelFailed with the
        reason when neither the settings' mixer nor the safe one converges, InputError for what is not a sheet. Errors
        of the machine pass through as they are.
        """
        check_sheet(atoms)
        sheet = with_vacuum(atoms, self.settings)
        shape = (sheet.numbers.tobytes(), sheet.cell.array.tobytes(), grid_shape(atoms, self.settings))
        follows = (
            self.reuse
            and self._calculator is not None
            and shape == self._shape
            and np.abs(sheet.positions - self._last_positions).max() < LARGEST_STEP_A
        )
        attempts = [(self.settings.mixer, self.settings.max_iterations, True)] if follows else []
        attempts.append((self.settings.mixer, self.settings.max_iterations, False))
        attempts.append((SAFE_MIXER, max(SAFE_ITERATIONS, self.settings.max_iterations), False))
        reasons = []
        for mixer, max_iterations, reused in attempts:
            if not reused:
                self.forget()  # free the old one's memory first
            started, coarse_iterations = time.perf_counter(), 0
            try:
                with self.sums(), right_fermi_level():
                    if reused:
                        self._predictor.remember(self._calculator)
                        self._predictor.move(self._calculator, sheet)
                    else:
                        self._calculator, coarse_iterations = begin(
                            atoms, self.settings, mixer, max_iterations, self.parallel
                        )
                    result = _converge(self._calculator, sheet)
            except Exception as error:
                self.forget()
                if not is_of_the_structure(error):
                    raise
                reason = " ".join(str(error).split()) or "no reason given"
                reasons.append(f"mixer {tuple(mixer)}: {type(error).__name__}: {reason}")
                continue
            self._shape, self._last_positions = shape, sheet.positions.copy()
            # The safe mixer's calculator is slow; the next structure deserves the fast one.
            if mixer != self.settings.mixer or not self.reuse:
                self.forget()
            record = {
                "iterations": result["iterations"],
                "coarse_iterations": coarse_iterations,
                "seconds": round(time.perf_counter() - started, 3),
                "cores": 1 if self.parallel is None else self.parallel["kpt"] * math.prod(self.parallel["domain"]),
                "converged": True,
                "attempts": len(reasons) + 1,
                "reused": reused,
                "mixer": list(mixer),
                "arithmetic": self.arithmetic,
                "kpoints_irreducible": result["kpoints"],
                "grid_points": list(grid_shape(atoms, self.settings)),
            }
            return with_label(
                atoms,
                result["energy_eV"],
                result["forces_eV_per_A"],
                result["components_eV"],
                {**record, "settings": self.settings.physical(), "versions": versions()},
            )
        raise LabelFailed("; ".join(reasons))

    def forget(self) -> None:
        """Drop the calculator and what was learnt from earlier structures."""
        self._calculator = None
        self._predictor.forget()


def begin(
    atoms: Atoms,
    settings: DFTSettings,
    mixer: Sequence[float],
    max_iterations: int,
    parallel: dict[str, Any] | None = None,
) -> tuple[Any, int]:
    """A calculator for `atoms` with a density to start from, and the number of iterations that finding it took.

    The density is that of the coarser k-points where the settings name some and this process is alone, else of atoms.
    """
    sheet = with_vacuum(atoms, settings)
    calculator = new_calculator(atoms, settings, mixer, max_iterations, parallel)
    if settings.start_kpoints is None or parallel is not None:
        calculator.create_new_calculation(sheet)
        return calculator, 0
    coarse = new_calculator(atoms, settings, mixer, max_iterations, coarse=True)
    coarse.create_new_calculation(sheet)
    rough = coarse.dft.scf_loop.hamiltonian.basis
    set_precision(rough, np.float32)
    iterations = iterate(coarse)
    # What follows from the density alone is the same for both.
    with _known_potential(coarse.dft):
        calculator.create_new_calculation(sheet)
    hand_over(coarse, calculator)
    found, dft = coarse.dft.density, calculator.dft
    dft.density.nt_sR.data[:] = found.nt_sR.data
    dft.density.D_asii.data[:] = found.D_asii.data
    if has_patches(rough):
        basis = dft.scf_loop.hamiltonian.basis
        set_precision(basis, np.float32)
        share_patches(basis, rough)
        limit = max(NEARLY_CONVERGED * settings.density_convergence, SINGLE_PRECISION_LIMIT)
        dft.scf_loop.mixer = RoughStart(
            dft.scf_loop.mixer,
            limit * dft.density.nvalence,
            lambda: set_precision(basis, np.float64),
        )
    return calculator, iterations


@contextlib.contextmanager
def _known_potential(dft: Any) -> Iterator[None]:
    """Calculations that are set up inside begin with the potential and energies of `dft`, not with those of atoms."""
    from gpaw.new.pot_calc import PotentialCalculator

    own = PotentialCalculator.calculate_without_orbitals
    PotentialCalculator.calculate_without_orbitals = lambda *args, **kwargs: (dft.potential, dft.energies, None)
    try:
        yield
    finally:
        PotentialCalculator.calculate_without_orbitals = own


def iterate(calculator: Any) -> int:
    """Run to self-consistency from the density that the calculation has; the number of iterations.

    GPAW's own loop would set a new calculation up once more.
    """
    iterations = 0
    for context in calculator.dft.iconverge(calculate_forces=calculator._calculate_forces):
        iterations = context.niter
    return iterations


def _converge(calculator: Any, sheet: Atoms) -> dict[str, Any]:
    """Run GPAW to self-consistency; energies in eV, forces (N, 3) in eV/A."""
    iterations = iterate(calculator)
    dft = calculator.dft
    dft.calculate_energy()
    energies = dft.energies
    parts = {name: value * Ha for name, value in energies._energies.items()}
    components = {
        name: float(parts[name]) for name in ("coulomb", "zero", "external", "xc", "entropy") if name in parts
    }
    components = {"kinetic": float(energies.kinetic * Ha), **components}
    free = float(dft.results["free_energy"] * Ha)
    difference = sum(components.values()) - free
    if abs(difference) > COMPONENT_TOLERANCE_EV:
        raise Unphysical(f"components of the energy miss its total by {difference:.2e} eV")
    components["extrapolation"] = float(parts["extrapolation"])
    forces = np.asarray(calculator.get_forces(sheet))
    if not (np.isfinite(forces).all() and np.isfinite(free)):
        raise Unphysical("energy or forces are not numbers")
    return {
        "energy_eV": free,
        "forces_eV_per_A": forces,
        "components_eV": components,
        "iterations": iterations,
        "kpoints": len(dft.ibzwfs.ibz),
    }
