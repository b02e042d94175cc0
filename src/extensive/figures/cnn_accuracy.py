"""Figure `cnn-accuracy`: the CNN against DFT, or against its teacher, on test structures and independent dynamics."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from extensive.errors import InputError
from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import summary
from extensive.figures.style import (
    BLUE,
    DOUBLE_IN,
    GREY,
    Drawing,
    family_style,
    family_title,
    new_figure,
    order_families,
    panel_title,
    quote,
    scatter,
    styled,
)
from extensive.keys import INDEPENDENT_MD, TEACHER_INDEPENDENT_MD, TEACHER_TEST, TEST

TITLES = {
    TEST: "test",
    INDEPENDENT_MD: "independent molecular dynamics",
    TEACHER_TEST: "frames held back, by the teacher",
    TEACHER_INDEPENDENT_MD: "independent dynamics, by the teacher",
}
TAUGHT = (TEACHER_TEST, TEACHER_INDEPENDENT_MD)
MOST_IN_A_ROW = 3


def from_files(**paths: str) -> Drawing:
    """Draw from the predictions CSVs of sets, named as Python names."""
    named = {name.replace("_", "-"): path for name, path in paths.items()}
    return draw({name: read_predictions(named[name]) for name in TITLES if name in named})


@styled
def draw(sets: dict[str, pd.DataFrame]) -> Drawing:
    """Parity of energies in eV/atom, a panel per non-empty set, the errors' histogram (meV/atom) inset."""
    sets = {name: table for name, table in sets.items() if len(table)}
    if not sets:
        raise InputError("figure cnn-accuracy: no predictions to draw; each of its sets is missing or empty")
    rows = 1 if len(sets) <= MOST_IN_A_ROW else 2
    figure = new_figure(DOUBLE_IN, 3.35 * rows)
    panels = figure.subplots(rows, -(-len(sets) // rows), squeeze=False).ravel()
    for letter, axes, (name, table) in zip("abcd", panels, sets.items()):
        _parity(axes, table, "teacher's" if name in TAUGHT else "DFT")
        panel_title(axes, letter, TITLES.get(name, name))
        _histogram(axes, table)
    present = order_families([family for table in sets.values() for family in table["family"]])
    handles = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels())}
    titles = [family_title(family) for family in present]
    figure.legend(
        [handles[title] for title in titles],
        titles,
        loc="outside lower center",
        ncols=min(5, len(titles)),
        columnspacing=1.2,
    )
    table = pd.concat([part.assign(set=name) for name, part in sets.items()], ignore_index=True)
    return Drawing(figure, table, {name: summary(part) for name, part in sets.items()})


def _parity(axes: Axes, table: pd.DataFrame, whose: str) -> None:
    true = table["energy_dft_eV"] / table["n_atoms"]
    predicted = table["energy_predicted_eV"] / table["n_atoms"]
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    margin = 0.06 * max(high - low, 1e-3)
    low, high = low - margin, high + margin
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.7, zorder=1)
    for index, family in enumerate(order_families(list(table["family"]))):
        here = table["family"] == family
        scatter(
            axes,
            true[here],
            predicted[here],
            family_style(family, index),
            12,
            zorder=2,
            label=family_title(family),
        )
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.locator_params(nbins=5)
    axes.set_xlabel(f"{whose} energy (eV/atom)")
    axes.set_ylabel("CNN energy (eV/atom)")
    numbers = summary(table)
    axes.text(
        0.04,
        0.97,
        f"MAE {quote(numbers['mae_meV_per_atom'])} meV/atom\n"
        f"max {quote(numbers['max_meV_per_atom'])} meV/atom\n{numbers['count']} structures",
        transform=axes.transAxes,
        va="top",
        fontsize=7,
        linespacing=1.3,
    )


def _histogram(axes: Axes, table: pd.DataFrame) -> None:
    """Errors in an empty corner; tails beyond the 98th percentile go to the last bins."""
    drawn = np.concatenate([axes.transLimits.transform(points.get_offsets()) for points in axes.collections])
    taken = ((drawn[:, 0] > 0.6) & (drawn[:, 1] < 0.4)).any()
    inset = axes.inset_axes((0.2, 0.56, 0.28, 0.21) if taken else (0.68, 0.15, 0.28, 0.21))
    errors = table["error_meV_per_atom"].to_numpy()
    reach = max(float(np.quantile(np.abs(errors), 0.98)), 1e-6)
    bins = np.linspace(-reach, reach, 22)
    inset.hist(np.clip(errors, -reach, reach), bins=bins, color=BLUE, linewidth=0)
    inset.axvline(0, color=GREY, linewidth=0.6)
    inset.set_xlabel("error (meV/atom)", fontsize=7, labelpad=1)
    inset.set_ylabel("count", fontsize=7, labelpad=1)
    inset.tick_params(labelsize=7, pad=1)
    inset.locator_params(axis="x", nbins=3)
    inset.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    inset.patch.set_alpha(0.0)
