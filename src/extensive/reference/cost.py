"""What labels cost: seconds by data set and size from their own records, and what is still to be computed."""

import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.reference.record import record_of

COST_COLUMNS = (
    "dataset",
    "family",
    "sampler",
    "n_atoms",
    "labels",
    "median_seconds",
    "core_hours",
    "median_iterations",
    "retried",
)


def cost_table(labelled: list[Atoms]) -> pd.DataFrame:
    """One row (COST_COLUMNS) per data set, family and size; seconds are of one core on the machine that did it."""
    rows = []
    for atoms in labelled:
        record = record_of(atoms)
        rows.append(
            {
                "dataset": atoms.info[keys.DATASET],
                "family": atoms.info[keys.FAMILY],
                "sampler": atoms.info[keys.SAMPLER],
                "n_atoms": len(atoms),
                "seconds": record["seconds"] * record.get("cores", 1),
                "iterations": record["iterations"],
                "retried": record["attempts"] > 1 and not record.get("reused", False),
            }
        )
    table = pd.DataFrame(rows, columns=["dataset", "family", "sampler", "n_atoms", "seconds", "iterations", "retried"])
    grouped = table.groupby(["dataset", "family", "sampler", "n_atoms"], sort=True)
    return grouped.agg(
        labels=("seconds", "size"),
        median_seconds=("seconds", "median"),
        core_hours=("seconds", lambda seconds: seconds.sum() / 3600.0),
        median_iterations=("iterations", "median"),
        retried=("retried", "sum"),
    ).reset_index()[list(COST_COLUMNS)]
