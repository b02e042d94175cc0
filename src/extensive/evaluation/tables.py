"""Tables as figures and claims read them; of predictions, errors in meV per structure and meV/atom."""

from pathlib import Path

import numpy as np
import pandas as pd

from extensive.errors import InputError
from extensive.keys import ATOMS_PER_CELL, CHEMICAL_ACCURACY_MEV, MEV_PER_EV, PREDICTION_COLUMNS


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


def read_predictions(path: str | Path) -> pd.DataFrame:
    """A predictions CSV with its errors; InputError names a missing column."""
    return with_errors(read_table(path, PREDICTION_COLUMNS))


def with_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Add error_meV (predicted less DFT, per structure) and error_meV_per_atom."""
    error = (table["energy_predicted_eV"] - table["energy_dft_eV"]) * MEV_PER_EV
    return table.assign(error_meV=error, error_meV_per_atom=error / table["n_atoms"])


def summary(table: pd.DataFrame) -> dict[str, float]:
    """Count, MAE and largest error in meV/atom, and how many lie within chemical accuracy.

    `within_percent` counts errors of whole structures within 43.36 meV, `within_per_cell_percent` those
    within 43.36 meV per 60 atoms. An empty table gives a count of 0 alone.
    """
    error = table["error_meV"].abs().to_numpy()
    per_atom = table["error_meV_per_atom"].abs().to_numpy()
    cells = np.maximum(table["n_atoms"].to_numpy() / ATOMS_PER_CELL, 1.0)
    if len(table) == 0:
        return {"count": 0}
    return {
        "count": len(table),
        "mae_meV_per_atom": float(per_atom.mean()),
        "rmse_meV_per_atom": float(np.sqrt((per_atom**2).mean())),
        "max_meV_per_atom": float(per_atom.max()),
        "max_meV": float(error.max()),
        "within_percent": float(100 * (error <= CHEMICAL_ACCURACY_MEV).mean()),
        "within_per_cell_percent": float(100 * (error <= CHEMICAL_ACCURACY_MEV * cells).mean()),
    }
