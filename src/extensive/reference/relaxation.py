"""Relaxation of a sheet by forces of labels, in its plane and at its cell; each step is a label.

The path depends on the start and the labels alone: where these are kept, a killed relaxation goes through its first
steps at no cost.
"""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS

from extensive import keys
from extensive.reference.calculation import LabelFailed

LARGEST_STEP_A = 0.1


class _Labels(Calculator):
    """Energies and forces in the plane as labels have them."""

    implemented_properties = ("energy", "forces")

    def __init__(self, start: Atoms, label: Callable[[Atoms], Atoms]) -> None:
        super().__init__()
        self.start = start
        self.labelled = label
        self.steps: list[Atoms] = []

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        asked = self.start.copy()
        asked.positions = np.round(atoms.positions, 6)
        asked.info[keys.STRUCTURE_ID] = f"{self.start.info[keys.STRUCTURE_ID]}-s{len(self.steps):03d}"
        labelled = self.labelled(asked)
        self.steps.append(labelled)
        self.results = {"energy": labelled.info[keys.REF_ENERGY], "forces": _in_plane(labelled)}


def _in_plane(labelled: Atoms) -> np.ndarray:
    """Forces (N, 3) in the plane; GPAW's grid breaks translational symmetry slightly, and the sheet must not drift."""
    forces = labelled.arrays[keys.REF_FORCES] * (1.0, 1.0, 0.0)
    return forces - forces.mean(axis=0)


def most_relaxed(labelled: list[Atoms]) -> Atoms:
    """The one of these labelled structures whose largest force is least, without its label."""
    found = min(labelled, key=lambda atoms: np.linalg.norm(_in_plane(atoms), axis=1).max())
    bare = Atoms(found.numbers, found.positions, cell=found.cell, pbc=found.pbc)
    bare.info = {key: value for key, value in found.info.items() if not key.startswith("REF_")}
    return bare


def relax(start: Atoms, label: Callable[[Atoms], Atoms], largest_force: float, steps: int) -> list[Atoms]:
    """Labelled structures of the path, the last of them relaxed: no force (eV/A) beyond `largest_force`.

    `label` returns its argument with REF_energy (eV) and REF_forces (eV/A). Raises LabelFailed if so many steps are
    not enough, and what `label` raises.
    """
    atoms = start.copy()
    atoms.calc = labels = _Labels(start, label)
    with BFGS(atoms, logfile=None, maxstep=LARGEST_STEP_A) as optimizer:
        if not optimizer.run(fmax=largest_force, steps=steps):
            name = start.info.get(keys.STRUCTURE_ID, "structure")
            raise LabelFailed(f"{name}: forces above {largest_force:g} eV/A after {steps} steps of relaxation")
    return labels.steps
