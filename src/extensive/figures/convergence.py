"""Figure `convergence`: what each of the DFT settings costs in accuracy, of energies and of forces."""

import textwrap

import pandas as pd

from extensive import keys
from extensive.evaluation.tables import read_table
from extensive.figures.style import (
    BLACK,
    DOUBLE_IN,
    GREY,
    RED,
    Drawing,
    new_figure,
    panel_title,
    styled,
)

COLUMNS = (
    "study",
    "setting",
    "system",
    "error_meV_per_atom",
    "beside_elements_meV_per_atom",
    "forces_meV_per_A",
    "chosen",
)
# Column, label and colour of each line; families are dots of the same colour.
ENERGIES = (
    ("error_meV_per_atom", "energy differences in a family", BLACK),
    ("beside_elements_meV_per_atom", "across families, beside elements", RED),
)
# What the settings of a study are, with units.
AXES = {
    "electrons": "occupations, width (eV), k-points",
    "grid": "points in the plane, spacing across",
    "vacuum": "vacuum (\u00c5)",
    "egg-box": "points, sheets shifted",
    "density": "density (per electron)",
    "all": "all settings",
}
FORCES = (("forces_meV_per_A", "forces", BLACK),)


def from_files(convergence: str) -> Drawing:
    """Draw from a CSV with a row for each study (electrons, grid, ...), setting and system."""
    return draw(read_table(convergence, COLUMNS))


@styled
def draw(convergence: pd.DataFrame) -> Drawing:
    """Errors of energies (top) and forces (bottom) by setting, a column for each study; production is dotted."""
    studies = list(dict.fromkeys(convergence["study"]))
    widths = [2 + convergence.loc[convergence["study"] == study, "setting"].nunique() for study in studies]
    figure = new_figure(DOUBLE_IN, 4.4)
    panels = figure.subplots(2, len(studies), squeeze=False, sharex="col", sharey="row", width_ratios=widths)
    letters = iter("abcdefghijklmnop")
    for row, lines in zip(panels, (ENERGIES, FORCES)):
        for axes, study in zip(row, studies):
            part = convergence[convergence["study"] == study]
            settings = list(dict.fromkeys(part["setting"].astype(str)))
            place = part["setting"].astype(str).map(settings.index)
            every = part["system"] == keys.ALL_FAMILIES
            for column, label, colour in lines:
                # The best setting of a study is its own reference: no error to draw on a logarithmic axis.
                error = part[column].where(lambda value: value > 0)
                axes.plot(place[~every], error[~every], ".", color=colour, alpha=0.35, markersize=4, markeredgewidth=0)
                if error[every].notna().any():
                    axes.plot(place[every], error[every], color=colour, marker="o", markersize=4, label=label)
            for setting in part.loc[part["chosen"].astype(bool), "setting"].astype(str).unique():
                axes.axvline(settings.index(setting), color=GREY, linestyle=":", linewidth=1.0)
            axes.set_yscale("log")
            axes.set_xticks(range(len(settings)), settings, rotation=90)
            axes.set_xlim(-0.6, len(settings) - 0.4)
            panel_title(axes, next(letters))
    for axes, study in zip(panels[1], studies):
        axes.set_xlabel(textwrap.fill(AXES.get(study, study), 22))
    panels[0, 0].set_ylabel("energy error (meV/atom)")
    panels[1, 0].set_ylabel("force error (meV/\u00c5)")
    handles = {label: h for axes in panels.ravel() for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    chosen = convergence[convergence["chosen"].astype(bool) & (convergence["system"] == keys.ALL_FAMILIES)]
    numbers = {column: chosen.set_index("study")[column].dropna().to_dict() for column, _, _ in ENERGIES + FORCES}
    return Drawing(figure, convergence, numbers)
