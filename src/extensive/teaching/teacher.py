"""Labels by an ensemble: means over its networks and their shifts, with the spread as each label's uncertainty."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.inference.calculator import check_domain
from extensive.inference.shifts import of_copies, symmetries_for
from extensive.io import digest
from extensive.models import load_model
from extensive.models.devices import pick_device
from extensive.models.files import weights_digest

DIGITS = 8


class Teacher:
    """Networks that label sheets of N atoms in place of DFT.

    `models` are paths of models; `shift_average` takes the mean over shifts too (see `inference.shifts`).
    Raises InputError for a model that knows no sheets, and on labelling for sheets outside what one was trained on.
    """

    def __init__(self, models: Sequence[str | Path], shift_average: bool = True, device: str = "cpu") -> None:
        where = pick_device(device)
        self.potentials = [load_model(path, where) for path in models]
        for path, potential in zip(models, self.potentials, strict=True):
            if not potential.elements:
                raise InputError(f"teacher {path}: a model of dimers or Ising lattices; it knows no sheets of atoms")
        self.shift_average = shift_average
        weights = [weights_digest(path) for path in models]
        self.name = ", ".join(f"{Path(path).stem} {value[:DIGITS]}" for path, value in zip(models, weights))
        if shift_average:
            self.name += f"; mean over {len(symmetries_for(self.potentials[0]))} shifts"
        self.digest = digest([weights, shift_average])

    def label(self, structures: Sequence[Atoms]) -> list[Atoms]:
        """Copies with REF_energy (eV), REF_forces (N, 3) (eV/A), their standard deviations, and the teacher's name.

        Deviations are over networks and shifts: `teacher_energy_std_eV`, and (N, 3) `teacher_forces_std` in eV/A;
        zero for one evaluation of one network.
        """
        for atoms in structures:
            self._check(atoms)
        found = [of_copies(potential, structures, self.shift_average) for potential in self.potentials]
        labelled = []
        for place, atoms in enumerate(structures):
            energies = np.concatenate([energies[place] for energies, _ in found])
            forces = np.concatenate([forces[place] for _, forces in found])
            several = len(energies) > 1
            copy = atoms.copy()
            copy.info[keys.REF_ENERGY] = float(energies.mean())
            copy.arrays[keys.REF_FORCES] = forces.mean(axis=0)
            copy.info[keys.TEACHER] = self.name
            copy.info[keys.TEACHER_ENERGY_STD] = float(energies.std(ddof=1)) if several else 0.0
            copy.arrays[keys.TEACHER_FORCES_STD] = forces.std(axis=0, ddof=1) if several else np.zeros_like(forces[0])
            labelled.append(copy)
        return labelled

    def refusal(self, atoms: Atoms) -> str | None:
        """Why a sheet lies outside what one of the networks was trained on; None for one inside."""
        try:
            self._check(atoms)
        except InputError as error:
            return str(error)
        return None

    def _check(self, atoms: Atoms) -> None:
        for potential in self.potentials:
            check_domain(atoms, potential, False, atoms.info[keys.STRUCTURE_ID])

    def drive(self, atoms: Atoms) -> Atoms:
        """A copy with energy and forces by one evaluation of the first network: what a trajectory follows."""
        energies, forces = self.potentials[0].energies_and_forces([atoms], batch_atoms=len(atoms))
        copy = atoms.copy()
        copy.info[keys.REF_ENERGY] = float(energies[0])
        copy.arrays[keys.REF_FORCES] = forces[0]
        return copy
