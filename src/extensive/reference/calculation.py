"""One GPAW label: energy, forces, components and the record of how they were found."""

import contextlib
import math
import time
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Ha

from extensive.reference import arithmetic
from extensive.reference.calculator import iterate
from extensive.reference.occupations import right_fermi_level
from extensive.reference.prediction import DensityPredictor
from extensive.reference.record import versions, with_label
from extensive.reference.sampling import determining, grid_shape
from extensive.reference.settings import DFTSettings, check_sheet, with_vacuum
from extensive.reference.start import begin

# Tried after the settings' own mixer: slow, and converges where that does not.
SAFE_MIXER = (0.05, 5, 50.0)
SAFE_ITERATIONS = 300
# Parts of GPAW's free energy must add up to it this closely.
COMPONENT_TOLERANCE_EV = 1e-6
# A structure whose atoms all moved less than this from the last one starts from the predicted density.
LARGEST_STEP_A = 0.3


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
                {**record, "settings": determining(atoms, self.settings), "versions": versions()},
            )
        raise LabelFailed("; ".join(reasons))

    def forget(self) -> None:
        """Drop the calculator and what was learnt from earlier structures."""
        self._calculator = None
        self._predictor.forget()


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
