"""Figure `ablation`: what each ingredient of the recipe is worth, on the validation set."""

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from extensive.evaluation.tables import read_table
from extensive.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_IN,
    GREY,
    ORANGE,
    Drawing,
    new_figure,
    panel_title,
    styled,
)

COLUMNS = ("variant", "base", "seed", "set", "mae_meV_per_atom", "forces_mae_meV_per_A")
PANELS = (
    ("mae_meV_per_atom", "energy", "mean absolute error (meV/atom)", BLUE),
    ("forces_mae_meV_per_A", "forces", "mean absolute error (meV/Å)", ORANGE),
)


def from_files(ablation: str) -> Drawing:
    """Draw from a CSV with a row for each variant, seed and set."""
    return draw(read_table(ablation, COLUMNS))


@styled
def draw(ablation: pd.DataFrame) -> Drawing:
    """A row for each variant: its seeds, and their mean as a bar; energies left, forces right."""
    variants = list(dict.fromkeys(ablation["variant"]))
    figure = new_figure(DOUBLE_IN, 0.8 + 0.24 * len(variants))
    panels = figure.subplots(1, 2, sharey=True)
    for letter, axes, (column, title, label, colour) in zip("ab", panels, PANELS):
        for row, variant in enumerate(variants):
            values = ablation.loc[ablation["variant"] == variant, column].dropna()
            if values.empty:
                axes.annotate("not learned", (0.02, row), xycoords=("axes fraction", "data"), va="center", color=GREY)
                continue
            axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.6, markeredgewidth=0)
            axes.plot([values.mean()] * 2, [row - 0.35, row + 0.35], color=BLACK)
        axes.set_xscale("log")
        # Errors often span less than a decade: a few plain numbers rather than powers of ten.
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
        axes.grid(True, axis="y", color="#E8E8E8", linewidth=0.5)
        panel_title(axes, letter, title)
    panels[0].set_yticks(range(len(variants)), variants)
    panels[0].set_ylim(len(variants) - 0.4, -0.6)
    means = ablation.groupby("variant", sort=False)[["mae_meV_per_atom", "forces_mae_meV_per_A"]].mean()
    # Variants whose forces mean nothing have no number, not a NaN.
    numbers = {name: {k: v for k, v in row.items() if v == v} for name, row in means.to_dict("index").items()}
    return Drawing(figure, ablation, {"mean": numbers, "seeds": int(ablation["seed"].nunique())})
