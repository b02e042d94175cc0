"""Figure `interpolation`: both networks inside and outside the range of what they were trained on."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from extensive.errors import InputError
from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import summary
from extensive.figures.style import (
    BLACK,
    DOUBLE_IN,
    Drawing,
    new_figure,
    panel_title,
    quote,
    scatter,
    series_style,
    styled,
)

SETS = ("test", "interpolation", "extrapolation")
SMALLEST = 1e-3  # meV/atom; a logarithmic axis has no zero


def from_files(**paths: str) -> Drawing:
    """Draw from predictions CSVs given as <model>_<set>=path."""
    tables = {}
    for name, path in paths.items():
        model, _, set_name = name.rpartition("_")
        tables[model.replace("_", "-"), set_name] = read_predictions(path)
    return draw(tables)


@styled
def draw(tables: dict[tuple[str, str], pd.DataFrame]) -> Drawing:
    """Absolute errors (meV/atom) by (model, set): (a) per set, (b) mean per data set of the outer sets."""
    tables = {key: table for key, table in tables.items() if len(table)}
    if not tables:
        raise InputError("figure interpolation: no predictions to draw; each of its sets is missing or empty")
    models = list(dict.fromkeys(model for model, _ in tables))
    sets = [name for name in SETS if any(key[1] == name for key in tables)]
    parts = [table.assign(model=model, set=name) for (model, name), table in tables.items()]
    everything = pd.concat(parts, ignore_index=True)
    everything["dataset"] = everything["structure_id"].str.rsplit("-", n=1).str[0]
    figure = new_figure(DOUBLE_IN, 3.0)
    by_set, by_dataset = figure.subplots(1, 2, width_ratios=(1, 1))
    panel_title(by_set, "a", "by set, median marked")
    panel_title(by_dataset, "b", "mean of each data set (structures)")
    _by_set(by_set, tables, models, sets)
    _by_dataset(by_dataset, everything[everything["set"].isin(SETS[1:])], models)
    figure.legend(*by_set.get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    numbers = {f"{model} {name}": summary(table) for (model, name), table in tables.items()}
    return Drawing(figure, everything, numbers)


def _by_set(axes: Axes, tables: dict[tuple[str, str], pd.DataFrame], models: list[str], sets: list[str]) -> None:
    width = 0.8 / len(models)
    for row, model in enumerate(models):
        for column, name in enumerate(sets):
            if (model, name) not in tables:
                continue
            error = np.maximum(tables[model, name]["error_meV_per_atom"].abs().to_numpy(), SMALLEST)
            centre = column + (row - (len(models) - 1) / 2) * width
            jitter = ((np.arange(len(error)) * 0.618034) % 1.0 - 0.5) * width * 0.7
            label = model.upper() if column == 0 else None
            scatter(axes, centre + jitter, error, series_style(row), 8, zorder=2, label=label)
            median = float(np.median(error))
            axes.plot([centre - width / 2.2, centre + width / 2.2], [median] * 2, color=BLACK, zorder=3)
            axes.annotate(
                quote(median, 2),
                (centre, 1.0),
                xycoords=("data", "axes fraction"),
                fontsize=7,
                ha="center",
                va="top",
            )
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.12)
    axes.set_xticks(range(len(sets)), sets)
    axes.set_xlim(-0.5, len(sets) - 0.5)
    axes.set_xlabel("set of structures")
    axes.set_ylabel("absolute error (meV/atom)")


def _by_dataset(axes: Axes, table: pd.DataFrame, models: list[str]) -> None:
    names = sorted(table["dataset"].unique(), key=lambda name: ("extrapolation" in name, name), reverse=True)
    for row, model in enumerate(models):
        means = table[table["model"] == model].groupby("dataset")["error_meV_per_atom"].apply(lambda e: e.abs().mean())
        here = [name for name in names if name in means.index]
        scatter(axes, means[here], [names.index(name) for name in here], series_style(row), 20, zorder=2)
    axes.set_xscale("log")
    counts = table.groupby("dataset")["structure_id"].nunique()
    axes.set_yticks(range(len(names)), [f"{name} ({counts[name]})" for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(True, axis="y", color="#E8E8E8", linewidth=0.5)
    axes.set_xlabel("mean absolute error (meV/atom)")
