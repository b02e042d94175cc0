"""Figure `ising`: the EDNN trained on a small Ising lattice, on that and on larger ones."""

import numpy as np
import pandas as pd
import seaborn as sns

from extensive.evaluation.predictions import read_predictions
from extensive.figures.style import (
    BLACK,
    COLUMN_IN,
    GREY,
    Drawing,
    new_figure,
    panel_title,
    quote,
    scatter,
    styled,
)

MARKERS = "os^Dv<>Ph"


def from_files(**paths: str) -> Drawing:
    """Draw from predictions CSVs, given as lattice_<L>=path; energies are in units of J."""
    return draw({int(name.removeprefix("lattice_")): read_predictions(path) for name, path in paths.items()})


@styled
def draw(lattices: dict[int, pd.DataFrame]) -> Drawing:
    """(a) predicted against true energy per spin of three sizes, (b) absolute error per spin by side L."""
    lattices = {side: table for side, table in sorted(lattices.items()) if len(table)}
    colours = dict(zip(lattices, sns.color_palette("viridis", len(lattices)).as_hex()))
    figure = new_figure(COLUMN_IN, 2.3)
    parity, sizes = figure.subplots(1, 2)
    panel_title(parity, "a", "energy")
    panel_title(sizes, "b", "error, median")
    chosen = _three(list(lattices))
    parts, numbers = [], {}
    for index, (side, table) in enumerate(lattices.items()):
        style = (colours[side], MARKERS[index % len(MARKERS)])
        true = table["energy_dft_eV"] / table["n_atoms"]
        predicted = table["energy_predicted_eV"] / table["n_atoms"]
        error = (predicted - true).abs()
        shown = np.maximum(1e3 * error, 1e-5)  # a logarithmic axis has no zero
        if side in chosen:
            scatter(parity, true, predicted, style, 9, zorder=2 + index, label=f"{side}×{side}")
        jitter = ((np.arange(len(error)) * 0.618034) % 1.0 - 0.5) * 0.6
        # Thousands of marks say no more than some hundred.
        step = -(-len(error) // 300)
        marks = {"color": style[0], "marker": style[1], "alpha": 0.5, "linewidths": 0, "rasterized": True}
        sizes.scatter((index + jitter)[::step], shown[::step], s=4, **marks)
        sizes.plot([index - 0.38, index + 0.38], [shown.median()] * 2, color=BLACK, linewidth=1.4, zorder=5)
        numbers[str(side)] = {
            "count": len(table),
            "median_per_spin_J": float(error.median()),
            "max_per_spin_J": float(error.max()),
        }
        parts.append(
            pd.DataFrame(
                {
                    "side": side,
                    "structure_id": table["structure_id"],
                    "energy_per_spin_J": true,
                    "predicted_per_spin_J": predicted,
                }
            )
        )
    low, high = parity.get_xlim()
    parity.plot([low, high], [low, high], color=GREY, linewidth=0.7, zorder=1)
    parity.set(xlim=(low, high), ylim=(low, high))
    parity.locator_params(nbins=4)
    parity.set_xlabel("true energy (J per spin)")
    parity.set_ylabel("predicted (J per spin)")
    parity.legend(loc="lower right", handletextpad=0.1, borderaxespad=0.1, labelspacing=0.2)
    sizes.set_yscale("log")
    many = len(lattices) > 4
    medians = [quote(1e3 * numbers[str(side)]["median_per_spin_J"], 2) for side in lattices]
    sizes.set_xticks(range(len(lattices)), [str(side) for side in lattices], rotation=90 if many else 0)
    low, high = sizes.get_ylim()
    sizes.set_ylim(low, high * (high / low) ** (0.4 if many else 0.15))  # room for the medians' numbers
    for index, text in enumerate(medians):
        where = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top"}
        sizes.annotate(text, (index, 0.99), rotation=90 if many else 0, fontsize=7, **where)
    sizes.set_xlim(-0.6, len(lattices) - 0.4)
    sizes.set_xlabel("lattice side L (spins)")
    sizes.set_ylabel("absolute error (10⁻³ J per spin)")
    return Drawing(figure, pd.concat(parts, ignore_index=True), numbers)


def _three(sides: list[int]) -> list[int]:
    """The smallest, the largest, and the papers' 128 or else the middle one."""
    middle = 128 if 128 in sides else sides[len(sides) // 2]
    return [sides[0], middle, sides[-1]]
