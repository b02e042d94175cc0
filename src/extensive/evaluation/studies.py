"""What studies found: errors of their members, and what several trainings of one model predict together.

Which trainings a study asks for: `config.trainings`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from extensive import keys
from extensive.config.trainings import Member
from extensive.errors import InputError


def collect(
    rows: Sequence[Member], descriptions: Sequence[str | Path], metrics: Sequence[dict[str, str]]
) -> pd.DataFrame:
    """Errors of a study's members: a row for each member and set.

    `descriptions` are the models' JSON files in the order of `rows`; `metrics`, in the same order, each one's metrics
    JSON files by set. `n_labels` is what was really trained on.
    """
    table = []
    for index, member in enumerate(rows):
        description = json.loads(Path(descriptions[index]).read_text())
        context = description.get("context_px") or 0
        for part, file in metrics[index].items():
            numbers = json.loads(Path(file).read_text())
            if not numbers["count"]:
                continue
            row = {**asdict(member), "n_labels": description["metadata"]["n_train"], "set": part}
            row["context_A"] = context * description["model"]["pixel_size_A"]
            row |= {key: numbers.get(key, np.nan) for key in ("mae_meV_per_atom", "forces_mae_meV_per_A")}
            table.append({**row, "count": numbers["count"], "seconds": description["metadata"]["seconds"]})
    return pd.DataFrame(table)


def ensemble(predictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean and standard deviation of several models' predictions of the same structures.

    Columns of `keys.PREDICTION_COLUMNS`, the prediction being the mean, and `energy_std_eV` (with Bessel's
    correction). Raises InputError where the tables are not of the same structures.
    """
    first = predictions[0]
    if len(predictions) < 2:
        raise InputError("ensemble: one model has no spread; studies.seeds must be at least 2")
    for table in predictions[1:]:
        if list(table["structure_id"]) != list(first["structure_id"]):
            raise InputError("ensemble: the models predicted different structures")
    energies = np.stack([table["energy_predicted_eV"].to_numpy() for table in predictions])
    result = first[list(keys.PREDICTION_COLUMNS)].copy()
    result["energy_predicted_eV"] = energies.mean(axis=0)
    result["energy_std_eV"] = energies.std(axis=0, ddof=1)
    return result
