"""Table `teachers`: which labels are a teacher's, how far its networks are apart on them, and who learned from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.io import read_json
from extensive.structures.frame import frame_of

COLUMNS = (
    "dataset",
    "labels",
    "teacher",
    "energy_std_meV_per_atom",
    "forces_std_meV_per_A",
    "students",
)


def teachers_table(labelled: Mapping[str, Sequence[Atoms]], descriptions: Sequence[str | Path]) -> pd.DataFrame:
    """A row for each data set of `labelled`: mean standard deviations of its labels, and the models that learned of it.

    `descriptions` are the models' JSON files; a model counts that names the same teacher.
    """
    teachers = {Path(path).stem: read_json(path)["metadata"].get("teachers", []) for path in descriptions}
    rows = []
    for name, structures in labelled.items():
        said = sorted({atoms.info[keys.TEACHER] for atoms in structures})
        energy = np.mean([atoms.info[keys.TEACHER_ENERGY_STD] / len(atoms) for atoms in structures])
        spreads = [frame_of(atoms).in_plane(atoms.arrays[keys.TEACHER_FORCES_STD]) for atoms in structures]
        forces = np.mean([np.abs(spread).mean() for spread in spreads])
        students = [model for model, theirs in teachers.items() if set(said) & set(theirs)]
        factor = keys.MEV_PER_EV
        rows.append((name, len(structures), "; ".join(said), factor * energy, factor * forces, " ".join(students)))
    return pd.DataFrame(rows, columns=list(COLUMNS))
