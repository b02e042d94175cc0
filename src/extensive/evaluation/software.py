"""Which versions a run's results come from, as its own files say it, not as what is installed now."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.reference.record import record_of

SOFTWARE_COLUMNS = ("used_for", "name", "version")


def software_table(
    labelled: Sequence[Atoms], models: Mapping[str, Mapping[str, Any]], workflow: Mapping[str, str]
) -> pd.DataFrame:
    """One row (SOFTWARE_COLUMNS) for each package and use; several versions of one use are listed together.

    `labelled` are structures with their records, `models` the descriptions (`<model>.json`) by name, `workflow`
    versions of what runs the workflow. Raises InputError for a label without a record.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for name, version in workflow.items():
        found.setdefault(("workflow", name), set()).add(str(version))
    for atoms in labelled:
        if keys.REF_RECORD in atoms.info:
            for name, version in record_of(atoms)["versions"].items():
                found.setdefault(("DFT labels", name), set()).add(str(version))
    for description in models.values():
        metadata = description["metadata"]
        if "torch" in metadata:
            found.setdefault(("training", "torch"), set()).add(str(metadata["torch"]))
        if "device" in metadata:
            found.setdefault(("training", "device"), set()).add(str(metadata["device"]))
    rows = [(use, name, ", ".join(sorted(versions))) for (use, name), versions in found.items()]
    return pd.DataFrame(rows, columns=list(SOFTWARE_COLUMNS))
