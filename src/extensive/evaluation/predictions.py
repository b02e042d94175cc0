"""Files of predictions: their names, the one way to read them, and the tables that are made of all of them.

A run has a file for each model and set, because its rules run side by side: `predictions/<model>-<set>.csv`. What is
published has one for each model, `predictions/<model>.csv`, whose first column `set` says which rows are of which set.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from extensive.errors import InputError
from extensive.evaluation.tables import errors, read_table, with_errors
from extensive.io import read_json
from extensive.keys import PREDICTION_COLUMNS, SETS, TEST

FOLDER, MODELS = "predictions", "models"
SET_COLUMN = "set"  # the first of a published file
# Names of model systems' files, which do not end in the name of a set of sheets.
DIMERS = re.compile(r"(cnn-(dimer-[a-z0-9-]+?)(?:-seed\d+)?)(-extrapolation)?")
LATTICES = re.compile(r"(ednn-ising(?:-seed\d+)?)-(\d+)")
COMPONENTS = "-components"  # parts of the energy of the test set


def model_and_set(name: str) -> tuple[str, str]:
    """Model and set of a run's file of predictions, by its name without `.csv`; InputError if it is none.

    `ednn-seed1-independent-md` is ("ednn-seed1", "independent-md"), `ednn-ising-8` is ("ednn-ising", "ising-8") and
    `cnn-dimer-2d-extrapolation` is ("cnn-dimer-2d", "dimer-2d-extrapolation").
    """
    if found := DIMERS.fullmatch(name):
        return found[1], f"{found[2]}{found[3] or ''}"
    if found := LATTICES.fullmatch(name):
        return found[1], f"ising-{found[2]}"
    if name.endswith(COMPONENTS):
        return name, TEST
    for part in sorted(SETS, key=len, reverse=True):
        if name.endswith(f"-{part}"):
            return name.removesuffix(f"-{part}"), part
    raise InputError(f"{name}.csv: no name of predictions; expected <model>-<set>.csv, a set being {', '.join(SETS)}")


def source_of(folder: Path, name: str) -> tuple[str, str | None]:
    """File, relative to a run or to what is published, that has the predictions `name` (`<model>-<set>`), and its set.

    The set is None where the file has no other rows. Where there are no such rows, it is a run's file that is named.
    """
    separate = f"{FOLDER}/{name}.csv"
    try:
        model, part = model_and_set(name)
    except InputError:  # a run may have names of its own
        return separate, None
    together = f"{FOLDER}/{model}.csv"
    if (folder / together).is_file():
        columns = pd.read_csv(folder / together, usecols=lambda column: column == SET_COLUMN)
        if part in set(columns.get(SET_COLUMN, ())):
            return together, part
    return separate, None


def read_predictions(
    path: str | Path,
    part: str | None = None,
    columns: tuple[str, ...] = PREDICTION_COLUMNS,
    add_errors: bool = True,
) -> pd.DataFrame:
    """A table of predictions of one set of one model, with its errors: what all who need predictions call.

    `path` is a run's file, or a published one together with the set `part`. Energies are in eV; unless `add_errors` is
    false, `error_meV` (predicted less DFT, of the whole structure) and `error_meV_per_atom` are added. Columns that a
    set does not have, such as forces, are left out. InputError names a column of `columns` or a set that is not there.
    """
    table = read_table(path, columns)
    if SET_COLUMN in table.columns:
        known = list(dict.fromkeys(table[SET_COLUMN]))
        if part not in known:
            raise InputError(f"{path}: no set {part!r}; there are {', '.join(known)}")
        table = table[table[SET_COLUMN] == part].drop(columns=SET_COLUMN).dropna(axis="columns", how="all")
        table = table.reset_index(drop=True)
    elif part is not None:
        raise InputError(f"{path}: no column '{SET_COLUMN}', so nothing of a set {part!r}")
    return with_errors(table) if add_errors else table


def gathered(files: Iterable[Path]) -> dict[str, pd.DataFrame]:
    """A run's files of predictions as one table for each model, as they are published.

    Sets of sheets are in the order of `keys.SETS`, lattices in that of their size.
    """
    found: dict[str, list[tuple[tuple[int, int, str], pd.DataFrame]]] = {}
    for file in files:
        model, part = model_and_set(file.stem)
        number = re.search(r"\d+$", part)
        place = (SETS.index(part) if part in SETS else len(SETS), int(number[0]) if number else 0, part)
        table = read_table(file, PREDICTION_COLUMNS)
        table.insert(0, SET_COLUMN, part)
        found.setdefault(model, []).append((place, table))
    return {
        model: pd.concat([table for _, table in sorted(tables, key=lambda pair: pair[0])], ignore_index=True)
        for model, tables in sorted(found.items())
    }


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write a table of predictions as CSV, with nine significant digits: 1e-6 eV of the largest sheets."""
    table.to_csv(path, index=False, float_format="%.9g")


def errors_table(folder: str | Path) -> pd.DataFrame:
    """Errors of all published predictions: rows for each model and set, as a whole, by family and by sampler.

    Columns `model`, `set`, `group` and those of `tables.errors`; `group` is "all" or, where there are several, such as
    "family hbn" or "sampler md". Where a model learned from labels by trained networks, the column `teachers` names
    these; where none did, there is no such column.
    """
    taught = taught_models(Path(folder).parent / MODELS)
    rows = []
    # A killed writer may have left a file whose name begins with a dot.
    for file in sorted(Path(folder).glob("[!.]*.csv")):
        teachers = teachers_of(file.stem, taught)
        named = {"teachers": "; ".join(teachers)} if teachers else {}
        for part in dict.fromkeys(read_table(file, (SET_COLUMN,))[SET_COLUMN]):
            table = read_predictions(file, part)
            groups = {"all": table}
            for column in ("family", "sampler"):
                names = sorted(set(table[column]))
                if len(names) > 1:
                    groups |= {f"{column} {name}": table[table[column] == name] for name in names}
            for group, rows_of in groups.items():
                rows.append({"model": file.stem, "set": part, "group": group, **errors(rows_of), **named})
    return pd.DataFrame(rows)


def taught_models(folder: Path) -> dict[str, list[str]]:
    """Teachers of each model of a run's `folder`, or of what is published, that learned from labels by networks."""
    found = {}
    for file in sorted(folder.glob("[!.]*.json")):
        teachers = (read_json(file).get("metadata") or {}).get("teachers")
        if teachers:
            found[file.stem] = list(teachers)
    return found


def teachers_of(model: str, taught: Mapping[str, list[str]]) -> list[str]:
    """Teachers of a model that predictions are of, by `taught_models`; a shift average or an ensemble counts as it."""
    return taught.get(model) or taught.get(re.sub(r"-symmetric|-ensemble", "", model), [])


def students_shown(models: Mapping[str, Mapping[str, Any]], files: Iterable[str]) -> list[str]:
    """Those of the configuration's `models` that learn from a teacher's labels and whose predictions are among `files`.

    Seeds and shift averages of a model count as it. Files whose names say no model and set are of none.
    """
    found = set()
    for path in map(Path, files):
        if path.parent.name != FOLDER:
            continue
        try:
            model, _ = model_and_set(path.stem)
        except InputError:
            continue
        base = re.sub(r"-seed\d+|-symmetric|-ensemble", "", model)
        if base in models and models[base]["training"]["teacher_labels"]:
            found.add(base)
    return sorted(found)
