"""Figure `ising`: the EDNN trained on a small Ising lattice, on that and on larger ones."""

import numpy as np
import pandas as pd

from extensive.figures.style import (
    COLUMN_IN,
    GREY,
    Drawing,
    new_figure,
    panel_letter,
    quote,
    read_table,
    series_style,
    styled,
)

COLUMNS = ("structure_id", "n_atoms", "energy_dft_eV", "energy_predicted_eV")


def from_files(**paths: str) -> Drawing:
    """Draw from predictions CSVs, given as lattice_<L>=path; energies are in units of J."""
    return draw({int(name.removeprefix("lattice_")): read_table(path, COLUMNS) for name, path in paths.items()})


@styled
def draw(lattices: dict[int, pd.DataFrame]) -> Drawing:
    """(a) predicted against true energy per spin, (b) absolute error per spin by side length L (n_atoms spins)."""
    lattices = {side: table for side, table in sorted(lattices.items()) if len(table)}
    figure = new_figure(COLUMN_IN, 2.15)
    parity, sizes = figure.subplots(1, 2)
    panel_letter(parity, "a")
    panel_letter(sizes, "b")
    parts, numbers = [], {}
    for index, (side, table) in enumerate(lattices.items()):
        colour, marker = series_style(index)
        true = table["energy_dft_eV"] / table["n_atoms"]
        predicted = table["energy_predicted_eV"] / table["n_atoms"]
        error = (predicted - true).abs()
        parity.scatter(
            true, predicted, s=8, color=colour, marker=marker, edgecolors="white", linewidths=0.2, zorder=2 + index,
            label=f"{side}×{side}",
        )  # fmt: skip
        median = float(error.median())
        jitter = ((np.arange(len(error)) * 0.618034) % 1.0 - 0.5) * 0.5
        sizes.scatter(index + jitter, np.maximum(error, 1e-8), s=4, color=colour, marker=marker, alpha=0.5, linewidths=0)
        sizes.plot([index - 0.35, index + 0.35], [max(median, 1e-8)] * 2, color="black", linewidth=1.4, zorder=5)
        sizes.annotate(
            quote(median, 2), (index, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7
        )
        numbers[str(side)] = {"count": len(table), "median_per_spin_J": median, "max_per_spin_J": float(error.max())}
        parts.append(pd.DataFrame({
            "side": side, "structure_id": table["structure_id"], "energy_per_spin_J": true,
            "predicted_per_spin_J": predicted,
        }))  # fmt: skip
    low, high = parity.get_xlim()
    parity.plot([low, high], [low, high], color=GREY, linewidth=0.7, zorder=1)
    parity.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    parity.locator_params(nbins=4)
    parity.set_xlabel("true energy (J per spin)")
    parity.set_ylabel("predicted (J per spin)")
    parity.legend(loc="upper left", handletextpad=0.1, borderaxespad=0.1, labelspacing=0.2)
    sizes.set_yscale("log")
    sizes.set_xticks(range(len(lattices)), [str(side) for side in lattices])
    sizes.set_xlim(-0.6, len(lattices) - 0.4)
    sizes.set_xlabel("lattice side L (spins)")
    sizes.set_ylabel("absolute error (J per spin)")
    return Drawing(figure, pd.concat(parts, ignore_index=True), numbers)
