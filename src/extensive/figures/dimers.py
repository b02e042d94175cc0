"""Figure `dimers`: Lennard-Jones energy and separation of dimers, read off 2D and 3D images by the CNN."""

import pandas as pd
from matplotlib.axes import Axes

from extensive.evaluation.predictions import read_predictions
from extensive.figures.style import (
    BLUE,
    COLUMN_IN,
    GREY,
    ORANGE,
    Drawing,
    new_figure,
    panel_title,
    quote,
    styled,
)

SEPARATION_COLUMNS = ("separation_true_A", "separation_predicted_A")


def from_files(**paths: str) -> Drawing:
    """Draw from predictions CSVs, given as dimers_2d=path and dimers_3d=path."""
    kinds = {name.removeprefix("dimers_").upper(): path for name, path in paths.items()}
    return draw({kind: read_predictions(path, add_errors=False) for kind, path in kinds.items()})


@styled
def draw(images: dict[str, pd.DataFrame]) -> Drawing:
    """Parity of energy (meV) and separation (Angstrom), a row of panels for each kind of image."""
    images = {name: table for name, table in images.items() if len(table)}
    has_separation = [name for name, table in images.items() if table.columns.isin(SEPARATION_COLUMNS).sum() == 2]
    columns = 2 if has_separation else 1
    figure = new_figure(COLUMN_IN, 1.75 * len(images) if columns == 2 else 3.0 * len(images))
    panels = figure.subplots(len(images), columns, squeeze=False)
    numbers: dict[str, dict[str, float]] = {}
    for row, (name, table) in enumerate(images.items()):
        colour, marker = ((BLUE, "o"), (ORANGE, "^"))[row % 2]
        energy = table[["energy_dft_eV", "energy_predicted_eV"]].to_numpy() * 1e3
        numbers[name] = {
            "count": len(table),
            "energy_mae_meV": _parity(panels[row, 0], energy, colour, marker, "energy", "meV"),
        }
        if columns == 2 and name in has_separation:
            separation = table[list(SEPARATION_COLUMNS)].to_numpy()
            numbers[name]["separation_mae_A"] = _parity(panels[row, 1], separation, colour, marker, "separation", "Å")
        elif columns == 2:
            panels[row, 1].remove()
    for letter, (axes, name) in zip("abcd", [(panels[r, c], n) for r, n in enumerate(images) for c in range(columns)]):
        panel_title(axes, letter, f"{name} image")
    figure.align_ylabels()
    table = pd.concat([part.assign(image=name) for name, part in images.items()], ignore_index=True)
    return Drawing(figure, table, numbers)


def _parity(axes: Axes, pairs, colour: str, marker: str, quantity: str, unit: str) -> float:
    """Predicted against true; returns the mean absolute error."""
    low, high = float(pairs.min()), float(pairs.max())
    margin = 0.06 * max(high - low, 1e-6)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linewidth=0.7, zorder=1)
    axes.scatter(
        pairs[:, 0],
        pairs[:, 1],
        s=6,
        color=colour,
        marker=marker,
        edgecolors="white",
        linewidths=0.2,
        zorder=2,
    )
    error = float(abs(pairs[:, 1] - pairs[:, 0]).mean())
    axes.text(0.05, 0.96, f"MAE\n{quote(error)} {unit}", transform=axes.transAxes, va="top", fontsize=7)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.locator_params(nbins=4)
    axes.set_xlabel(f"true {quantity} ({unit})")
    axes.set_ylabel(f"predicted ({unit})")
    return error
