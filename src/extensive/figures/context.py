"""Figure `context`: error against how far a tile sees beyond its focus."""

import pandas as pd

from extensive.evaluation.tables import read_table
from extensive.figures.learning_curves import band
from extensive.figures.style import DOUBLE_IN, GREY, Drawing, new_figure, panel_title, styled

COLUMNS = ("variant", "context_A", "seed", "set", "mae_meV_per_atom", "forces_mae_meV_per_A")
QUANTITIES = (
    ("mae_meV_per_atom", "energies", "meV/atom"),
    ("forces_mae_meV_per_A", "forces", "meV/Å"),
)


def from_files(context: str) -> Drawing:
    """Draw from a CSV with a row for each variant, seed and set."""
    return draw(read_table(context, COLUMNS))


@styled
def draw(context: pd.DataFrame) -> Drawing:
    """Mean over seeds with the seeds' range against the context in Angstrom: (a) energies, (b) forces."""
    figure = new_figure(DOUBLE_IN, 2.6)
    panels = figure.subplots(1, len(QUANTITIES), sharex=True)
    for index, (letter, axes, (column, title, label)) in enumerate(zip("ab", panels, QUANTITIES)):
        known = context.dropna(subset=[column])
        if known.empty:
            axes.annotate("not learned", (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)
        else:
            band(axes, known.groupby("context_A")[column], index, title)
            axes.set_ylim(0, 1.1 * known[column].max())
        axes.set(xlabel="context c (Å)", ylabel=f"validation MAE ({label})")
        panel_title(axes, letter, title)
    means = context.groupby("context_A")["mae_meV_per_atom"].mean()
    best = float(means.idxmin())
    return Drawing(figure, context, {"best_context_A": best, "best_meV_per_atom": float(means.min())})
