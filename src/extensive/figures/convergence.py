"""Figure `convergence`: what the DFT settings cost in accuracy: k-points, grid, vacuum, egg-box noise."""

import pandas as pd

from extensive.evaluation.tables import read_table
from extensive.figures.style import (
    BLACK,
    DOUBLE_IN,
    Drawing,
    new_figure,
    panel_title,
    series_style,
    styled,
)

COLUMNS = ("study", "setting", "unit", "system", "error_meV_per_atom", "chosen")


def from_files(convergence: str) -> Drawing:
    """Draw from a CSV with a row for each study (k-points, grid, ...), setting and system."""
    return draw(read_table(convergence, COLUMNS))


@styled
def draw(convergence: pd.DataFrame) -> Drawing:
    """A panel for each study: absolute error (meV/atom) by setting, the production setting marked."""
    studies = list(dict.fromkeys(convergence["study"]))
    columns = min(len(studies), 4)
    rows = -(-len(studies) // columns)
    figure = new_figure(DOUBLE_IN, 2.2 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    systems = list(dict.fromkeys(convergence["system"]))
    for letter, axes, study in zip("abcdefghi", panels, studies):
        part = convergence[convergence["study"] == study]
        settings = list(dict.fromkeys(part["setting"].astype(str)))
        for system, here in part.groupby("system", sort=False):
            colour, marker = series_style(systems.index(system))
            x = [settings.index(setting) for setting in here["setting"].astype(str)]
            # The best setting of a study is its own reference: no error to draw on a logarithmic axis.
            error = here["error_meV_per_atom"].abs().where(lambda value: value > 0)
            axes.plot(x, error, color=colour, marker=marker, label=system)
        for setting in part.loc[part["chosen"].astype(bool), "setting"].astype(str).unique():
            axes.axvline(settings.index(setting), color=BLACK, linestyle=":", linewidth=0.8)
        axes.set_yscale("log")
        crowded = sum(map(len, settings)) > 14
        axes.set_xticks(range(len(settings)), settings, rotation=90 if crowded else 0)
        unit = str(part["unit"].iloc[0]) if part["unit"].notna().any() else ""
        axes.set_xlabel(f"{study} ({unit})" if unit else study)
        panel_title(axes, letter)
    for axes in panels[len(studies) :]:
        axes.remove()
    for row in range(rows):
        panels[row * columns].set_ylabel("error (meV/atom)")
    handles = {label: h for axes in panels[: len(studies)] for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    chosen = convergence[convergence["chosen"].astype(bool)]
    worst = chosen.groupby("study")["error_meV_per_atom"].apply(lambda error: float(error.abs().max()))
    return Drawing(figure, convergence, {"chosen_meV_per_atom": worst.to_dict()})
