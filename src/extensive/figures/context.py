"""Figure `context`: error against how far a tile sees beyond its focus."""

import pandas as pd

from extensive.figures.learning_curves import band
from extensive.figures.style import COLUMN_IN, Drawing, new_figure, read_table, styled

COLUMNS = ("variant", "context_A", "seed", "set", "mae_meV_per_atom", "forces_mae_meV_per_A")
QUANTITIES = (
    ("mae_meV_per_atom", "energy (meV/atom)"),
    ("forces_mae_meV_per_A", "forces (meV/Å)"),
)


def from_files(context: str) -> Drawing:
    """Draw from a CSV with a row for each variant, seed and set."""
    return draw(read_table(context, COLUMNS))


@styled
def draw(context: pd.DataFrame) -> Drawing:
    """Mean over seeds with the seeds' range, energies and forces, against the context in Angstrom."""
    figure = new_figure(COLUMN_IN, 2.9)
    axes = figure.subplots()
    for index, (column, label) in enumerate(QUANTITIES):
        known = context.dropna(subset=[column])
        if known.empty:
            continue
        band(axes, known.groupby("context_A")[column], index, label)
    axes.set(yscale="log", xlabel="context c (Å)", ylabel="mean absolute error, validation")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    means = context.groupby("context_A")["mae_meV_per_atom"].mean()
    best = float(means.idxmin())
    return Drawing(figure, context, {"best_context_A": best, "best_meV_per_atom": float(means.min())})
