"""Figure `components`: kinetic, electrostatic and exchange-correlation energy, each by an EDNN."""

import pandas as pd

from extensive.evaluation.predictions import read_predictions
from extensive.figures.style import (
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
from extensive.keys import PREDICTION_COLUMNS

COLUMNS = ("component", *PREDICTION_COLUMNS)


def from_files(components: str) -> Drawing:
    """Draw from a predictions CSV with a `component` column."""
    return draw(read_predictions(components, columns=COLUMNS, add_errors=False))


@styled
def draw(components: pd.DataFrame) -> Drawing:
    """Predicted against DFT (eV/atom), a panel for each component, with the error relative to its spread."""
    names = list(dict.fromkeys(components["component"]))
    figure = new_figure(DOUBLE_IN, 2.9)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    numbers = {}
    for letter, axes, name in zip("abcdef", panels, names):
        part = components[components["component"] == name]
        true = part["energy_dft_eV"] / part["n_atoms"]
        predicted = part["energy_predicted_eV"] / part["n_atoms"]
        for index, family in enumerate(order_families(list(part["family"]))):
            here = part["family"] == family
            style = family_style(family, index)
            scatter(axes, true[here], predicted[here], style, 10, zorder=2, label=family_title(family))
        limits = (min(true.min(), predicted.min()), max(true.max(), predicted.max()))
        axes.axline((limits[0], limits[0]), slope=1, color=GREY, linewidth=0.7, zorder=1)
        mae = float((predicted - true).abs().mean())
        spread = float(true.std(ddof=0))
        numbers[name] = {"mae_meV_per_atom": 1e3 * mae, "spread_meV_per_atom": 1e3 * spread}
        share = f"\n{quote(100 * mae / spread)} % of spread" if spread else ""
        text = f"MAE {quote(1e3 * mae)} meV/atom{share}"
        axes.text(0.04, 0.97, text, transform=axes.transAxes, va="top", fontsize=7)
        panel_title(axes, letter, name)
        axes.locator_params(nbins=4)
        axes.set_xlabel("DFT (eV/atom)")
    panels[0].set_ylabel("EDNN (eV/atom)")
    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))
    return Drawing(figure, components, numbers)
