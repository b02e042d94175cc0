"""Figure `learning-curves`: error against number of labels, with the labels' own noise as the floor."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from pandas.core.groupby import SeriesGroupBy

from extensive.figures.style import (
    COLUMN_IN,
    GREY,
    Drawing,
    new_figure,
    quote,
    read_table,
    series_style,
    styled,
)

COLUMNS = ("model", "n_labels", "seed", "set", "mae_meV_per_atom")


def from_files(curves: str, label_noise_meV_per_atom: float | None = None) -> Drawing:
    """Draw from a CSV with a row for each model, number of labels, seed and set."""
    return draw(read_table(curves, COLUMNS), label_noise_meV_per_atom)


def band(axes: Axes, errors: SeriesGroupBy, index: int, label: str) -> None:
    """Mean over seeds of errors grouped by the horizontal axis, in the style of series `index`, with their range."""
    colour, marker = series_style(index)
    spread = errors.agg(["mean", "min", "max"])
    axes.plot(spread.index, spread["mean"], color=colour, marker=marker, label=label)
    axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.2, linewidth=0)


@styled
def draw(curves: pd.DataFrame, label_noise_meV_per_atom: float | None = None) -> Drawing:
    """Mean over seeds with the seeds' range; a panel for each set."""
    sets = list(dict.fromkeys(curves["set"]))
    figure = new_figure(COLUMN_IN if len(sets) == 1 else COLUMN_IN * 2, 3.1)
    panels = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, sets):
        for index, (model, part) in enumerate(curves[curves["set"] == name].groupby("model", sort=False)):
            band(axes, part.groupby("n_labels")["mae_meV_per_atom"], index, model)
        if label_noise_meV_per_atom:
            label = f"label noise, {quote(label_noise_meV_per_atom)} meV/atom"
            axes.axhline(label_noise_meV_per_atom, color=GREY, linestyle=":", label=label)
        axes.set(xscale="log", yscale="log", xlabel="labels (number of structures)")
        axes.set_xticks(sorted(curves["n_labels"].unique()), sorted(curves["n_labels"].unique()))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(name, loc="left")
    panels[0].set_ylabel("mean absolute error (meV/atom)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4 if len(sets) > 1 else 2, len(labels)))
    best = curves[curves["n_labels"] == curves["n_labels"].max()]
    means = best.groupby(["model", "set"])["mae_meV_per_atom"].mean()
    numbers = {f"{model} {name}": float(value) for (model, name), value in means.items()}
    return Drawing(figure, curves, {"largest_n_labels": int(curves["n_labels"].max()), "mae": numbers})
