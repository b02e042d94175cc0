"""GPAW calculators of sheets: serial processes, settings, and self-consistency step by step."""

import ctypes
import os
from collections.abc import Sequence
from typing import Any

from ase import Atoms

from extensive.reference.sampling import grid_shape, kpoint_list
from extensive.reference.settings import DFTSettings

# Options of glibc's `mallopt`: no blocks outside the heap, bytes at its end that are given back, bytes asked for.
M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD = -4, -1, -2


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
    density_convergence: float | None = None,
) -> Any:
    """A GPAW calculator for `atoms`; its grid and k-points fit cells of that shape and supercell only.

    `parallel` is GPAW's split of the ranks that this process is one of, None where it is alone;
    `density_convergence` (electrons per electron) takes the place of that of the settings.
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
        kpts=kpoint_list(atoms, settings),
        occupations={"name": settings.occupations, "width": settings.smearing_eV},
        convergence={"density": density_convergence or settings.density_convergence},
        # Rattled sheets have no point group, and a pristine one must not be sampled otherwise than they are.
        symmetry={"point_group": False},
        mixer=Mixer(*mixer),
        maxiter=max_iterations,
        txt=None,
    )


def iterate(calculator: Any) -> int:
    """Run to self-consistency from the density that the calculation has; the number of iterations.

    GPAW's own loop would set a new calculation up once more.
    """
    iterations = 0
    for context in calculator.dft.iconverge(calculate_forces=calculator._calculate_forces):
        iterations = context.niter
    return iterations
