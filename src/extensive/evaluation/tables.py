"""Tables as figures and claims read them; of predictions, errors in meV per structure and meV/atom."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extensive.errors import InputError
from extensive.keys import ATOMS_PER_CELL, CHEMICAL_ACCURACY_MEV, FORCES_COLUMN, MEV_PER_EV


def read_table(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV and check that it has `columns`; InputError names the file and what is missing."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as a CSV table ({str(error).splitlines()[0]})") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path}: column '{missing[0]}' is missing; expected {', '.join(columns)}")
    return table


def with_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Add error_meV (predicted less DFT, per structure) and error_meV_per_atom."""
    error = (table["energy_predicted_eV"] - table["energy_dft_eV"]) * MEV_PER_EV
    return table.assign(error_meV=error, error_meV_per_atom=error / table["n_atoms"])


def errors(table: pd.DataFrame) -> dict[str, Any]:
    """Errors of a table of predictions; an empty one gives a count of 0 alone.

    Per atom in meV/atom; of totals in meV; `within_chemical_accuracy` is the fraction of totals within 43.36 meV, and
    `within_chemical_accuracy_per_60_atoms` allows a larger cell 43.36 meV for every 60 atoms. Forces are means over
    atoms, in meV/Angstrom, of those structures that have any.
    """
    if not len(table):
        return {"count": 0}
    totals = MEV_PER_EV * (table["energy_predicted_eV"] - table["energy_dft_eV"]).to_numpy()
    atoms = table["n_atoms"].to_numpy()
    per_atom = totals / atoms
    allowed = CHEMICAL_ACCURACY_MEV * np.maximum(1.0, atoms / ATOMS_PER_CELL)
    numbers = {
        "count": len(table),
        "mae_meV_per_atom": float(np.abs(per_atom).mean()),
        "rmse_meV_per_atom": float(np.sqrt((per_atom**2).mean())),
        "median_meV_per_atom": float(np.median(np.abs(per_atom))),
        "max_meV_per_atom": float(np.abs(per_atom).max()),
        "bias_meV_per_atom": float(per_atom.mean()),
        "total_mae_meV": float(np.abs(totals).mean()),
        "total_max_meV": float(np.abs(totals).max()),
        "within_chemical_accuracy": float((np.abs(totals) <= CHEMICAL_ACCURACY_MEV).mean()),
        "within_chemical_accuracy_per_60_atoms": float((np.abs(totals) <= allowed).mean()),
    }
    if FORCES_COLUMN in table:
        known = table.dropna(subset=[FORCES_COLUMN])
        if len(known):
            numbers[FORCES_COLUMN] = float(np.average(known[FORCES_COLUMN], weights=known["n_atoms"]))
    return numbers


def metrics(table: pd.DataFrame) -> dict[str, Any]:
    """The errors of a table of predictions overall, by family and by sampler."""
    result = errors(table)
    if len(table):
        result["by_family"] = {name: errors(part) for name, part in table.groupby("family")}
        result["by_sampler"] = {name: errors(part) for name, part in table.groupby("sampler")}
    return result


def summary(table: pd.DataFrame) -> dict[str, float]:
    """What captions and claims quote of `errors`: `within_percent` is of structures within 43.36 meV,
    `within_per_cell_percent` of those within 43.36 meV per 60 atoms. An empty table gives a count of 0 alone.
    """
    found = errors(table)
    if not found["count"]:
        return found
    return {
        **{key: found[key] for key in ("count", "mae_meV_per_atom", "rmse_meV_per_atom", "max_meV_per_atom")},
        "max_meV": found["total_max_meV"],
        "within_percent": 100 * found["within_chemical_accuracy"],
        "within_per_cell_percent": 100 * found["within_chemical_accuracy_per_60_atoms"],
    }
