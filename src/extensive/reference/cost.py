"""What labels cost: each from its own record, and summed by data set and size."""

import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.reference.record import record_of

GROUP = ("dataset", "family", "sampler", "n_atoms")
LABEL_COLUMNS = ("structure_id", *GROUP, "seconds", "iterations", "retried")
COST_COLUMNS = (*GROUP, "labels", "median_seconds", "core_hours", "median_iterations", "retried")


def labels_table(labelled: list[Atoms]) -> pd.DataFrame:
    """One row (LABEL_COLUMNS) per label; seconds are of one core on the machine that did it."""
    rows = []
    for atoms in labelled:
        record = record_of(atoms)
        rows.append(
            {
                "structure_id": atoms.info[keys.STRUCTURE_ID],
                "dataset": atoms.info[keys.DATASET],
                "family": atoms.info[keys.FAMILY],
                "sampler": atoms.info[keys.SAMPLER],
                "n_atoms": len(atoms),
                "seconds": record["seconds"] * record.get("cores", 1),
                "iterations": record["iterations"],
                "retried": record["attempts"] > 1 and not record.get("reused", False),
            }
        )
    return pd.DataFrame(rows, columns=list(LABEL_COLUMNS))


def cost_table(labels: pd.DataFrame) -> pd.DataFrame:
    """One row (COST_COLUMNS) per data set, family, sampler and size of a `labels_table`."""
    grouped = labels.groupby(list(GROUP), sort=True)
    return grouped.agg(
        labels=("seconds", "size"),
        median_seconds=("seconds", "median"),
        core_hours=("seconds", lambda seconds: seconds.sum() / 3600.0),
        median_iterations=("iterations", "median"),
        retried=("retried", "sum"),
    ).reset_index()[list(COST_COLUMNS)]
