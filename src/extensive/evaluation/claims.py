"""The papers' claims C1 to C10 beside this project's numbers, each computed from the run's own files."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extensive.errors import InputError
from extensive.evaluation.predictions import FOLDER, MODELS, read_predictions, source_of, taught_models, teachers_of
from extensive.evaluation.tables import errors, read_table, summary
from extensive.io import atomic_path, read_json
from extensive.keys import (
    ATOMS_PER_CELL,
    CHEMICAL_ACCURACY_MEV,
    EXTRAPOLATION,
    FORCES_COLUMN,
    INDEPENDENT_MD,
    INTERPOLATION,
    MEV_PER_EV,
    SUPERCELLS,
    TEACHER_INDEPENDENT_MD,
    TEACHER_TEST,
    TEST,
    TIMING_COLUMNS,
)

COLUMNS = ("claim", "quantity", "unit", "paper", "ours", "set", "source_file")
SEEDS_COLUMNS = ("claim", "quantity", "unit", "set", "seed", "ours", "source_file")
CLAIMS = tuple(f"C{number}" for number in range(1, 11))
Row = tuple[str, str, str, float | None, float | None, str, str]
# What follows the quantity where the network did not learn from DFT alone.
LEARNED_FROM_NETWORKS = ", learned from labels by networks"


def claims_table(
    run: str | Path,
    cnn: str,
    ednn: str,
    dimers: dict[str, str],
    ising: dict[int, str],
    others: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A row or more for each claim, from the files of a run; `ours` is empty where the run lacks the file.

    `cnn` and `ednn` name models (the same one in a run of the CNN alone), `others` maps titles of further ones, whose
    errors stand beside theirs, to models; `dimers` maps 2D and 3D, `ising` lattice sides, to predictions' names. Errors
    of a network that learned from labels by other networks say so.
    """
    run = Path(run)
    rows = [
        *_accuracy(run, cnn, ednn, others or {}),
        *_speed(run),
        *_model_systems(run, cnn, ednn, dimers, ising),
        *_shown(run),
    ]
    rows.sort(key=lambda row: CLAIMS.index(row[0]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_claims(path: str | Path, table: pd.DataFrame) -> None:
    """Write the table as CSV, atomically; numbers with four significant digits, more would be noise."""
    text = table.astype(object).copy()
    for column in ("paper", "ours"):
        text[column] = ["" if pd.isna(value) else f"{value:.4g}" for value in table[column]]
    with atomic_path(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n")


def read_claims(path: str | Path) -> pd.DataFrame:
    """The table as text, as it was written; InputError if it is none."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as the claims table ({error})") from error
    if tuple(table.columns) != COLUMNS:
        raise InputError(f"{path}: columns {', '.join(table.columns)}; expected {', '.join(COLUMNS)}")
    return table


def markdown(table: pd.DataFrame, seeds: pd.DataFrame | None = None) -> str:
    """The table (as read_claims gives it) in Markdown, with ranges over `seeds` (see seeds_table) where given."""
    ranges = {} if seeds is None else _ranges(seeds)
    titles = ["claim", "quantity", "unit", "paper", "ours", *(["seeds"] if ranges else []), "set"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in table.itertuples(index=False):
        cells = [row.claim, row.quantity, row.unit, row.paper or "–", row.ours or "not measured yet"]
        if ranges:
            cells.append(ranges.get((row.quantity, row.set), ""))
        lines.append(f"| {' | '.join([*cells, row.set])} |")
    return "\n".join(lines) + "\n"


def seeds_table(trainings: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """What the accuracy claims would be from other trainings of the same networks; columns SEEDS_COLUMNS.

    `trainings` are arguments of claims_table, the published models first; `seed` is the place among them. What a
    training lacks has no row, and speed is no matter of seeds.
    """
    parts = [claims_table(**training).assign(seed=seed) for seed, training in enumerate(trainings)]
    table = pd.concat(parts, ignore_index=True)
    table = table[table["source_file"].str.startswith(f"{FOLDER}/") & table["ours"].notna()]
    return table[list(SEEDS_COLUMNS)].reset_index(drop=True)


def _ranges(seeds: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Smallest and largest number over seeds by quantity and set, such as "1.2 to 1.5 (3)": in brackets, how many."""
    found = {}
    for key, part in seeds.fillna({"set": ""}).groupby(["quantity", "set"])["ours"]:
        if len(part) > 1:
            found[key] = f"{part.min():.3g} to {part.max():.3g} ({len(part)})"
    return found


def _value(path: Path, read: Callable[[Path], Any], compute: Callable[[Any], float]) -> float | None:
    """compute(read(path)), or None where there is no such file or nothing in it to compute from."""
    if not path.is_file():
        return None
    try:
        value = float(compute(read(path)))
    except (KeyError, IndexError):  # the file holds no such row: nothing was measured
        return None
    return value if np.isfinite(value) else None


def _predicted(run: Path, name: str, compute: Callable[[pd.DataFrame], float]) -> tuple[float | None, str]:
    """A number of the predictions `name`, None where the run lacks them, and the file that it is from."""
    file, part = source_of(run, name)
    return _value(run / file, lambda path: read_predictions(path, part), compute), file


def _accuracy(run: Path, cnn: str, ednn: str, others: Mapping[str, str]) -> Iterator[Row]:
    def of(
        claim: str,
        title: str,
        model: str,
        name: str,
        key: str,
        unit: str,
        paper: float | None = None,
        chosen: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    ) -> Row:
        value, file = _predicted(run, f"{model}-{name}", lambda table: summary(chosen(table))[key])
        return (claim, said(title, model), unit, paper, value, name, file)

    taught = taught_models(run / MODELS)

    def said(title: str, model: str) -> str:
        return title + LEARNED_FROM_NETWORKS * bool(teachers_of(model, taught))

    def beside() -> Iterator[Row]:
        for claim, name in (("C1", TEST), ("C2", INDEPENDENT_MD)):
            for title, model in others.items():
                yield of(claim, f"`{title}` mean absolute error", model, name, mae, atom)

    mae, largest, within = "mae_meV_per_atom", "max_meV_per_atom", "within_per_cell_percent"
    atom = "meV/atom"
    # The papers' structures have 60 atoms or fewer.
    close = f"within {CHEMICAL_ACCURACY_MEV} meV of DFT per {ATOMS_PER_CELL} atoms"
    # Claims of the papers' CNN, and the set whose labels are a teacher's.
    of_the_papers = (
        ("C1", "mean absolute error", mae, 0.198, TEST, TEACHER_TEST),
        ("C1", "largest error", largest, 16.1, TEST, TEACHER_TEST),
        ("C2", "mean absolute error", mae, 6.85, INDEPENDENT_MD, TEACHER_INDEPENDENT_MD),
    )
    for claim, quantity, key, paper, part, _ in of_the_papers:
        yield of(claim, f"CNN {quantity}", cnn, part, key, atom, paper)
    if ednn == cnn:  # a run of CNNs alone, which may have learned from networks' labels: how well they learned these
        for title, model in {"CNN": cnn, **{f"`{title}`": model for title, model in others.items()}}.items():
            for claim, quantity, key, paper, _, part in of_the_papers:
                yield of(claim, f"{title} {quantity}, against its teacher", model, part, key, atom, paper)
        yield from beside()
        return
    # The same network's shift average, at eight times the price; and the mean over several such networks.
    networks = {"EDNN": ednn, "EDNN, shift average,": f"{ednn}-symmetric"}
    if (run / source_of(run, f"{ednn}-symmetric-ensemble-{TEST}")[0]).is_file():
        networks["EDNN, ensemble of shift averages,"] = f"{ednn}-symmetric-ensemble"
    for title, model in networks.items():
        error = f"{title} mean absolute error"
        yield of("C1", error, model, TEST, mae, atom)
        # Like the papers' test set, which is of frames of dynamics alone.
        yield of("C1", f"{error}, frames of dynamics", model, TEST, mae, atom, None, _frames_of_dynamics)
        yield of("C2", error, model, INDEPENDENT_MD, mae, atom)
        yield of("C6", error, model, SUPERCELLS, mae, atom)
        for name in (TEST, INDEPENDENT_MD, SUPERCELLS):
            yield of("C3", f"{title} {close}", model, name, within, "%", 100.0 if name == TEST else None)
    for name in (TEST, INDEPENDENT_MD, SUPERCELLS):
        forces, file = _predicted(run, f"{ednn}-{name}", lambda table: errors(table)[FORCES_COLUMN])
        title = said("EDNN mean absolute error, forces", ednn)
        yield ("C1", title, "meV/Angstrom", None, forces, name, file)
    yield from beside()
    for title, model in (("CNN", cnn), ("EDNN", ednn)):
        yield of("C8", f"{title} mean absolute error inside the range", model, INTERPOLATION, mae, atom)
        yield of("C8", f"{title} mean absolute error outside it", model, EXTRAPOLATION, mae, atom)


def _frames_of_dynamics(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["sampler"] == "md"]


def _speed(run: Path) -> Iterator[Row]:
    def exponent(method: str) -> float | None:
        def find(stored: dict[str, Any]) -> float:
            return next(iter([fit["exponent"] for fit in stored["fits"] if fit["method"] == method]), np.nan)

        return _value(run / "timings/exponents.json", read_json, find)

    fits = "timings/exponents.json"
    yield ("C4", "DFT scaling exponent", "", 3.0, exponent("gpaw"), "", fits)
    yield ("C4", "EDNN scaling exponent, fused", "", 1.0, exponent("ednn-fused"), "", fits)
    yield ("C4", "EDNN scaling exponent, tiled", "", 1.0, exponent("ednn-tiled"), "", fits)

    networks, sheet = "timings/networks.csv", "timings/sheet.csv"
    for device, where in _devices(run / networks):

        def fastest(table: pd.DataFrame, of: str = "ednn", device: str = device) -> float:
            here = table["method"].str.fullmatch(rf"{re.escape(of)}-(tiled|fused.*|paper)")
            here &= (table["n_atoms"] == ATOMS_PER_CELL) & (table["device"] == device)
            return 1e3 * table.loc[here, "seconds"].min()

        value = _value(run / networks, _timings, fastest)
        yield ("C5", f"EDNN, {ATOMS_PER_CELL} atoms, {where}", "ms", 57.0, value, "", networks)
        for name in _others(run / networks, r"(.+)-fused"):
            value = _value(run / networks, _timings, partial(fastest, of=name))
            yield ("C5", f"`{name}`, {ATOMS_PER_CELL} atoms, {where}", "ms", 57.0, value, "", networks)
    for name in ["ednn", *_others(run / sheet, r"(.+)-streamed")]:
        title = "EDNN" if name == "ednn" else f"`{name}`"
        for device, where in _devices(run / sheet):

            def largest(column: str, scale: float, of: str = name, device: str = device) -> Callable:
                def find(table: pd.DataFrame) -> float:
                    here = table[(table["device"] == device) & (table["method"] == f"{of}-streamed")]
                    return float(here.sort_values("n_atoms")[column].iloc[-1]) * scale

                return find

            for what, unit, paper, column, scale in (
                ("atoms of the sheet", "million", 35.2, "n_atoms", 1e-6),
                ("time for the sheet", "min", 25.0, "seconds", 1 / 60),
            ):
                value = _value(run / sheet, _timings, largest(column, scale))
                yield ("C6", f"{title}, {what}, {where}", unit, paper, value, "", sheet)


def _others(path: Path, method: str) -> list[str]:
    """Models, other than the first, of a timing table whose methods are their names and what `method` asks for."""
    if not path.is_file():
        return []
    found = _timings(path)["method"].str.extract(f"^{method}$")[0].dropna()
    return [name for name in dict.fromkeys(found) if name != "ednn"]


def _timings(path: Path) -> pd.DataFrame:
    return read_table(path, TIMING_COLUMNS)


def _devices(path: Path) -> list[tuple[str, str]]:
    """Devices that a timing table knows, as stored and as printed; without the table, the CPU alone."""
    stored = dict.fromkeys(_timings(path)["device"]) if path.is_file() else ["cpu"]
    return [(device, "GPU" if device == "cuda" else "CPU") for device in stored]


def _model_systems(run: Path, cnn: str, ednn: str, dimers: dict[str, str], ising: dict[int, str]) -> Iterator[Row]:
    def energy(table: pd.DataFrame) -> float:
        return table["error_meV"].abs().mean()

    def separation(table: pd.DataFrame) -> float:
        return (table["separation_predicted_A"] - table["separation_true_A"]).abs().mean()

    def per_spin(table: pd.DataFrame) -> float:
        return (table["error_meV_per_atom"] / MEV_PER_EV).abs().median()

    for kind, name in dimers.items():
        dataset, title = f"dimer-{kind.lower()}", f"CNN mean absolute error, {kind} dimers"
        value, file = _predicted(run, name, energy)
        yield ("C7", f"{title}, energy", "meV", None, value, dataset, file)
        value, file = _predicted(run, name, separation)
        yield ("C7", f"{title}, separation", "Angstrom", None, value, dataset, file)
        value, file = _predicted(run, f"{name}-extrapolation", energy)
        yield ("C8", f"{title} outside the range, energy", "meV", None, value, f"{dataset}-extrapolation", file)
    for side, name in ising.items():
        value, file = _predicted(run, name, per_spin)
        title = f"EDNN median absolute error, Ising {side}x{side}"
        yield ("C9", title, "J per spin", None, value, f"ising-{side}", file)


def _shown(run: Path) -> Iterator[Row]:
    inputs, tiles = "figures/inputs.csv", "figures/tiles.csv"
    panels = _value(run / inputs, pd.read_csv, lambda table: table["panel"].nunique())
    yield ("C10", "kinds of input image shown", "", 4.0, panels, "", inputs)
    drawn = _value(run / tiles, pd.read_csv, lambda table: 1.0 * (len(table) > 1))
    yield ("C10", "figures of tiles on a porous sheet", "", 1.0, drawn, "", tiles)
