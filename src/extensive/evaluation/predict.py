"""How good a model is: predictions of a set of structures, and the numbers that are quoted of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.evaluation.predictions import write_predictions
from extensive.evaluation.tables import metrics
from extensive.inference.shifts import shift_average
from extensive.io import atomic_path, write_json
from extensive.models import Potential
from extensive.structures.frame import frame_of


def predict(potential: Potential, structures: Sequence[Atoms], symmetric: bool = False) -> pd.DataFrame:
    """Total energies (eV) beside the reference; columns of `keys.PREDICTION_COLUMNS`.

    One more column, the mean absolute error of each structure's in-plane force components (meV/Angstrom),
    where all structures carry REF_forces. `symmetric` takes the shift average, and adds the
    standard deviation over the copies, `energy_std_eV`. Raises InputError for a structure without REF_energy.
    """
    for atoms in structures:
        if keys.REF_ENERGY not in atoms.info:
            raise InputError(
                f"{atoms.info.get(keys.STRUCTURE_ID, atoms.symbols)}: no {keys.REF_ENERGY} to compare with"
            )
    with_forces = bool(structures) and all(keys.REF_FORCES in atoms.arrays for atoms in structures)
    extra: dict[str, Sequence[float]] = {}
    if not structures:
        energies = np.zeros(0)
    elif symmetric:
        energies, extra["energy_std_eV"], forces = shift_average(potential, structures)
    elif with_forces:
        energies, forces = potential.energies_and_forces(structures)
    else:
        energies = potential.energies(structures)
    if with_forces:
        extra[keys.FORCES_COLUMN] = [
            keys.MEV_PER_EV * float(np.abs(frame_of(atoms).in_plane(force - atoms.arrays[keys.REF_FORCES])).mean())
            for force, atoms in zip(forces, structures)
        ]
    columns = (
        [atoms.info[keys.STRUCTURE_ID] for atoms in structures],
        [atoms.info[keys.FAMILY] for atoms in structures],
        [atoms.info[keys.SAMPLER] for atoms in structures],
        [len(atoms) for atoms in structures],
        [float(atoms.info[keys.REF_ENERGY]) for atoms in structures],
        list(energies),
    )
    return pd.DataFrame({**dict(zip(keys.PREDICTION_COLUMNS, columns)), **extra})


def write_evaluation(table: pd.DataFrame, predictions: str | Path, numbers: str | Path) -> None:
    """Write a predictions table as CSV and its metrics as JSON, each whole or not at all."""
    with atomic_path(predictions) as temporary:
        write_predictions(temporary, table)
    write_json(numbers, metrics(table))
