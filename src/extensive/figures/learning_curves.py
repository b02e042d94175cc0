"""Figure `learning-curves`: error against number of labels, with the labels' own noise as the floor."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from pandas.core.groupby import SeriesGroupBy

from extensive import keys
from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import read_table, summary
from extensive.figures.style import (
    BLACK,
    COLUMN_IN,
    GREY,
    Drawing,
    new_figure,
    quote,
    series_style,
    styled,
)
from extensive.io import read_json

COLUMNS = ("variant", "n_labels", "seed", "set", "mae_meV_per_atom")
GOAL_MEV_PER_ATOM = 1.0
# What the papers' CNN reaches on frames like those it learned from and on independent dynamics.
PAPERS_MEV_PER_ATOM = {
    keys.TEST: 0.198,
    keys.TEACHER_TEST: 0.198,
    keys.INDEPENDENT_MD: 6.85,
    keys.TEACHER_INDEPENDENT_MD: 6.85,
}
# Of the convergence study.
NOISE_COLUMNS = ("study", "error_meV_per_atom", "chosen")


def from_files(curves: str, description: str, convergence: str | None = None, **published: str) -> Drawing:
    """Draw from a CSV with a row for each variant, number of labels, seed and set.

    `description` is the JSON file of the published model, `published` its predictions by set, `convergence` the table
    of the study of the labels.
    """
    labels = read_json(description)["metadata"]["n_train"]
    errors = {name: summary(read_predictions(path)) for name, path in published.items()}
    errors = {name.replace("_", "-"): e["mae_meV_per_atom"] for name, e in errors.items() if e["count"]}
    noise = None
    if convergence is not None:
        study = read_table(convergence, NOISE_COLUMNS)
        shifts = study[(study["study"] == "egg-box") & study["chosen"].astype(bool)]["error_meV_per_atom"].abs()
        noise = float(shifts.max()) if len(shifts) else None
    return draw(read_table(curves, COLUMNS), noise, (labels, errors))


def band(axes: Axes, errors: SeriesGroupBy, index: int, label: str) -> None:
    """Mean over seeds of errors grouped by the horizontal axis, in the style of series `index`, with their range."""
    colour, marker = series_style(index)
    spread = errors.agg(["mean", "min", "max"])
    axes.plot(spread.index, spread["mean"], color=colour, marker=marker, label=label)
    axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.2, linewidth=0)


@styled
def draw(
    curves: pd.DataFrame,
    label_noise_meV_per_atom: float | None = None,
    published: tuple[int, dict[str, float]] | None = None,
) -> Drawing:
    """Mean over seeds with the seeds' range; a panel for each set.

    `published`: number of labels of the published model, whose training is longer, and its errors by set, meV/atom.
    """
    sets = list(dict.fromkeys(curves["set"]))
    figure = new_figure(COLUMN_IN if len(sets) == 1 else COLUMN_IN * 2, 3.1)
    panels = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
    variants = list(dict.fromkeys(curves["variant"]))
    for axes, name in zip(panels, sets):
        for index, variant in enumerate(variants):
            part = curves[(curves["set"] == name) & (curves["variant"] == variant)]
            if len(part):
                band(axes, part.groupby("n_labels")["mae_meV_per_atom"], index, variant)
        counts = sorted(curves["n_labels"].unique())
        if published and name in published[1]:
            counts.append(published[0])
            axes.plot(published[0], published[1][name], "*", color=BLACK, markersize=9, label="published training")
        if label_noise_meV_per_atom:
            label = f"label noise, at most {quote(label_noise_meV_per_atom)} meV/atom"
            axes.axhline(label_noise_meV_per_atom, color=GREY, linestyle=":", label=label)
        if name in PAPERS_MEV_PER_ATOM:
            axes.axhline(PAPERS_MEV_PER_ATOM[name], color=BLACK, linestyle="--", linewidth=0.8, label="papers' CNN")
        axes.set(xscale="log", yscale="log", xlabel="labels (number of structures)")
        axes.set_xticks(counts, counts)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(name, loc="left")
    panels[0].set_ylabel("mean absolute error (meV/atom)")
    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels())}
    columns = min(3 if len(sets) > 1 else 2, len(handles))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
    best = curves[curves["n_labels"] == curves["n_labels"].max()]
    means = best.groupby(["variant", "set"], sort=False)["mae_meV_per_atom"].mean()
    numbers = {f"{variant} {name}": float(value) for (variant, name), value in means.items()}
    fits = {
        f"{variant} {name}": fit
        for (variant, name), part in curves.groupby(["variant", "set"], sort=False)
        if (fit := _power_law(part)) is not None
    }
    return Drawing(figure, curves, {"largest_n_labels": int(curves["n_labels"].max()), "mae": numbers, "fits": fits})


def _power_law(part: pd.DataFrame) -> dict[str, float] | None:
    """Exponent of error against labels, and the labels that would reach GOAL_MEV_PER_ATOM if it went on so.

    None for a single number of labels; no labels where more of them change the error by less than a third in tenfold.
    """
    means = part.groupby("n_labels")["mae_meV_per_atom"].mean()
    if len(means) < 2:
        return None
    exponent, constant = np.polyfit(np.log(means.index), np.log(means.to_numpy()), 1)
    fit = {"exponent": float(exponent)}
    if 10**exponent < 2 / 3:
        fit["labels_for_goal"] = math.exp((math.log(GOAL_MEV_PER_ATOM) - constant) / exponent)
    return fit
