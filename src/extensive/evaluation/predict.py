"""How good a model is: predictions of a set of structures, and the numbers that are quoted of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.inference.shifts import symmetric_energies_and_forces
from extensive.io import atomic_path, write_json
from extensive.models import Potential
from extensive.structures.frame import frame_of

FORCES_COLUMN = "forces_mae_meV_per_A"


def predict(potential: Potential, structures: Sequence[Atoms], symmetric: bool = False) -> pd.DataFrame:
    """Total energies (eV) beside the reference; columns of `keys.PREDICTION_COLUMNS`.

    One more column, the mean absolute error of each structure's in-plane force components (meV/Angstrom),
    where all structures carry REF_forces. `symmetric` takes the mean over each sheet's drawings, and adds their
    standard deviation, `energy_std_eV`. Raises InputError for a structure without REF_energy.
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
        energies, extra["energy_std_eV"], forces = symmetric_energies_and_forces(potential, structures)
    elif with_forces:
        energies, forces = potential.energies_and_forces(structures)
    else:
        energies = potential.energies(structures)
    if with_forces:
        extra[FORCES_COLUMN] = [
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


def metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Errors of a predictions table: overall, by family and by sampler. Empty tables give a count of 0.

    Per atom in meV/atom; of totals in meV; `within_chemical_accuracy` is the fraction of totals within 43.36
    meV, and `within_chemical_accuracy_per_60_atoms` allows a larger cell 43.36 meV for every 60 atoms.
    """
    result = _numbers(table)
    if len(table):
        result["by_family"] = {name: _numbers(part) for name, part in table.groupby("family")}
        result["by_sampler"] = {name: _numbers(part) for name, part in table.groupby("sampler")}
    return result


def _numbers(table: pd.DataFrame) -> dict[str, Any]:
    if not len(table):
        return {"count": 0}
    totals = keys.MEV_PER_EV * (table["energy_predicted_eV"] - table["energy_dft_eV"]).to_numpy()
    atoms = table["n_atoms"].to_numpy()
    per_atom = totals / atoms
    allowed = keys.CHEMICAL_ACCURACY_MEV * np.maximum(1.0, atoms / keys.ATOMS_PER_CELL)
    numbers = {
        "count": len(table),
        "mae_meV_per_atom": float(np.abs(per_atom).mean()),
        "rmse_meV_per_atom": float(np.sqrt((per_atom**2).mean())),
        "median_meV_per_atom": float(np.median(np.abs(per_atom))),
        "max_meV_per_atom": float(np.abs(per_atom).max()),
        "bias_meV_per_atom": float(per_atom.mean()),
        "total_mae_meV": float(np.abs(totals).mean()),
        "total_max_meV": float(np.abs(totals).max()),
        "within_chemical_accuracy": float((np.abs(totals) <= keys.CHEMICAL_ACCURACY_MEV).mean()),
        "within_chemical_accuracy_per_60_atoms": float((np.abs(totals) <= allowed).mean()),
    }
    if FORCES_COLUMN in table:
        numbers[FORCES_COLUMN] = float(np.average(table[FORCES_COLUMN], weights=atoms))
    return numbers


def write_evaluation(table: pd.DataFrame, predictions: str | Path, numbers: str | Path) -> None:
    """Write a predictions table as CSV and its metrics as JSON, each whole or not at all."""
    with atomic_path(predictions) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")
    write_json(numbers, metrics(table))
