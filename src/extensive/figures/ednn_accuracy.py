"""Figure `ednn-accuracy`: the EDNN against DFT and chemical accuracy, by family and by cell size."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import SymmetricalLogLocator

from extensive.errors import InputError
from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import summary
from extensive.figures.style import (
    BLACK,
    DOUBLE_IN,
    GREEN,
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
from extensive.keys import ATOMS_PER_CELL, CHEMICAL_ACCURACY_MEV

ERROR_LABEL = "EDNN − DFT (meV per structure)"
# Beyond so many meV the axis of errors is logarithmic where errors are large.
LINEAR_MEV = 100
# Sets are told apart by marks without a colour: colours are the families'.
SET_MARKS = ((BLACK, "o"), ("white", "s"), ("#BBBBBB", "D"), ("white", "^"))
SET_TITLES = {"test": "test", "independent-md": "independent MD", "supercells": "supercells"}


def from_files(test: str | None = None, independent_md: str | None = None, supercells: str | None = None) -> Drawing:
    """Draw from the predictions CSVs of the sets that the run has."""
    paths = {"test": test, "independent-md": independent_md, "supercells": supercells}
    return draw({name: read_predictions(path) for name, path in paths.items() if path})


@styled
def draw(sets: dict[str, pd.DataFrame]) -> Drawing:
    """Errors in meV per structure: (a) against the DFT energy, (b) by family, (c) by number of atoms.

    The band is +-43.36 meV (1 kcal/mol) for a whole structure; the dashed line in (c) is that per 60 atoms.
    """
    sets = {name: table for name, table in sets.items() if len(table)}
    if not sets:
        raise InputError("figure ednn-accuracy: no predictions to draw; each of its sets is missing or empty")
    table = pd.concat([part.assign(set=name) for name, part in sets.items()], ignore_index=True)
    figure = new_figure(DOUBLE_IN, 3.1)
    parity, families, sizes = figure.subplots(1, 3, width_ratios=(1, 1.15, 1))
    panel_title(parity, "a", "by energy")
    panel_title(families, "b", "by family, up to 60 atoms")
    panel_title(sizes, "c", "by size, marks as in b")
    _parity(parity, sets)
    _by_family(families, table)
    _by_size(sizes, table)
    figure.legend(loc="outside lower center", ncols=3, columnspacing=1.5)
    numbers = {name: summary(part) for name, part in sets.items()}
    numbers["all"] = summary(table)
    numbers["sizes"] = [int(size) for size in sorted(table["n_atoms"].unique())]
    return Drawing(figure, table, numbers)


def _error_scale(axes: Axes, errors: pd.Series, horizontal: bool = False) -> None:
    """Linear while the band is visible; otherwise linear inside the band and logarithmic outside."""
    reach = max(1.15 * float(errors.abs().max()), 1.3 * CHEMICAL_ACCURACY_MEV)
    set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if horizontal else (axes.set_yscale, axes.set_ylim)
    if reach > 6 * CHEMICAL_ACCURACY_MEV:
        set_scale("symlog", linthresh=LINEAR_MEV, linscale=1.0)
        reach *= 1.3
    set_limits(-reach, reach)
    axis = axes.xaxis if horizontal else axes.yaxis
    if reach > 6 * CHEMICAL_ACCURACY_MEV:
        steps = (1, 5) if horizontal else (1, 3)  # as many as there is room for
        named = [step * 10.0**power for power in range(2, int(np.log10(reach)) + 1) for step in steps]
        named = [value for value in named if value < reach]
        axis.set_ticks([-value for value in named[::-1]] + [0.0] + named)
        axis.set_tick_params(labelsize=6 if horizontal else 7)
        axis.set_major_formatter(lambda value, _: "0" if value == 0 else f"{value:.0f}".replace("-", "−"))
        axis.set_minor_locator(SymmetricalLogLocator(base=10, linthresh=LINEAR_MEV, subs=range(2, 10)))
        axis.set_label_text(f"{ERROR_LABEL[:-1]};\nlogarithmic beyond ±{LINEAR_MEV})")


def _band(axes: Axes, horizontal: bool = False, label: str | None = None) -> None:
    span = axes.axvspan if horizontal else axes.axhspan
    line = axes.axvline if horizontal else axes.axhline
    limits = (-CHEMICAL_ACCURACY_MEV, CHEMICAL_ACCURACY_MEV)
    span(*limits, color=GREEN, alpha=0.15, linewidth=0, zorder=0, label=label)
    line(0, color=GREY, linewidth=0.6, zorder=1)


def _parity(axes: Axes, sets: dict[str, pd.DataFrame]) -> None:
    everything = pd.concat(sets.values())
    for index, (name, table) in enumerate(sets.items()):
        mae = quote(summary(table)["mae_meV_per_atom"])
        label = f"{SET_TITLES.get(name, name)}: MAE {mae} meV/atom"
        colour, marker = SET_MARKS[index % len(SET_MARKS)]
        axes.scatter(
            table["energy_dft_eV"] / table["n_atoms"],
            table["error_meV"],
            s=10,
            color=colour,
            marker=marker,
            edgecolors=BLACK,
            linewidths=0.5,
            zorder=2 + index,
            label=label,
        )
    _band(axes, label="chemical accuracy, ±43.36 meV")
    axes.set_xlabel("DFT energy (eV/atom)")
    axes.set_ylabel(ERROR_LABEL)
    _error_scale(axes, everything["error_meV"])
    axes.locator_params(axis="x", nbins=4)


def _by_family(axes: Axes, table: pd.DataFrame) -> None:
    """One row per family: every structure of up to 60 atoms, whatever its set, spread within the row."""
    small = table["n_atoms"] <= ATOMS_PER_CELL
    table = table[small] if small.any() else table
    families = order_families(list(table["family"]))[::-1]
    _band(axes, horizontal=True)
    for row, family in enumerate(families):
        errors = np.sort(table.loc[table["family"] == family, "error_meV"].to_numpy())
        # A fixed low-discrepancy jitter: the same data give the same picture.
        jitter = ((np.arange(len(errors)) * 0.618034) % 1.0 - 0.5) * 0.6
        scatter(axes, errors, row + jitter, family_style(family, row), 8, zorder=2)
    axes.set_xlabel(ERROR_LABEL)
    _error_scale(axes, table["error_meV"], horizontal=True)
    axes.set_yticks(range(len(families)), [family_title(family) for family in families])
    axes.set_ylim(-0.6, len(families) - 0.4)
    axes.tick_params(axis="y", length=0)


def _by_size(axes: Axes, table: pd.DataFrame) -> None:
    """Marks and colours are those of the families' rows."""
    _band(axes)
    for index, family in enumerate(order_families(list(table["family"]))):
        here = table[table["family"] == family]
        scatter(axes, here["n_atoms"], here["error_meV"], family_style(family, index), alpha=0.85, zorder=2)
    axes.set_ylabel(ERROR_LABEL)
    _error_scale(axes, table["error_meV"])
    low, high = table["n_atoms"].min(), table["n_atoms"].max()
    margin = max(0.08 * (high - low), 4.0)
    if high > ATOMS_PER_CELL:
        atoms = np.linspace(low - margin, high + margin, 50)
        limit = CHEMICAL_ACCURACY_MEV * np.maximum(atoms / ATOMS_PER_CELL, 1.0)
        for sign, label in ((-1, None), (1, "±43.36 meV per 60 atoms")):
            axes.plot(atoms, sign * limit, color=GREEN, linewidth=0.9, linestyle="--", zorder=1, label=label)
        axes.set_xticks([size for size in (60, 120, 240, 360, 480, 720, 960) if size <= high + 1])
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel("atoms in the cell")
