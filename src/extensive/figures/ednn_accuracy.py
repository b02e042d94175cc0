"""Figure `ednn-accuracy`: the EDNN against DFT with the chemical-accuracy band, by family and by cell size."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from extensive.figures.predictions import read_predictions, summary
from extensive.figures.style import (
    DOUBLE_IN,
    GREEN,
    GREY,
    Drawing,
    family_style,
    family_title,
    new_figure,
    order_families,
    panel_letter,
    quote,
    series_style,
    styled,
)
from extensive.keys import ATOMS_PER_CELL, CHEMICAL_ACCURACY_MEV

SET_TITLES = {"test": "test", "independent-md": "independent MD", "supercells": "supercells"}


def from_files(test: str, independent_md: str | None = None, supercells: str | None = None) -> Drawing:
    """Draw from the predictions CSVs of the sets that the run has."""
    paths = {"test": test, "independent-md": independent_md, "supercells": supercells}
    return draw({name: read_predictions(path) for name, path in paths.items() if path})


@styled
def draw(sets: dict[str, pd.DataFrame]) -> Drawing:
    """Errors in meV per structure: (a) against the DFT energy, (b) by family, (c) by number of atoms.

    The band is +-43.36 meV (1 kcal/mol) for a whole structure; the dashed line in (c) is that per 60 atoms.
    """
    sets = {name: table for name, table in sets.items() if len(table)}
    table = pd.concat([part.assign(set=name) for name, part in sets.items()], ignore_index=True)
    figure = new_figure(DOUBLE_IN, 3.0)
    parity, families, sizes = figure.subplots(1, 3, width_ratios=(1, 1.15, 1))
    for letter, axes in zip("abc", (parity, families, sizes)):
        panel_letter(axes, letter)
    _parity(parity, sets)
    _by_family(families, table)
    _by_size(sizes, table)
    numbers = {name: summary(part) for name, part in sets.items()}
    numbers["all"] = summary(table)
    numbers["sizes"] = [int(size) for size in sorted(table["n_atoms"].unique())]
    return Drawing(figure, table, numbers)


def _error_scale(axes: Axes, errors: pd.Series, horizontal: bool = False) -> None:
    """Linear while the band is visible; otherwise linear inside the band and logarithmic outside."""
    reach = max(1.15 * float(errors.abs().max()), 1.3 * CHEMICAL_ACCURACY_MEV)
    set_scale, set_limits = (
        (axes.set_xscale, axes.set_xlim) if horizontal else (axes.set_yscale, axes.set_ylim)
    )
    if reach > 6 * CHEMICAL_ACCURACY_MEV:
        set_scale("symlog", linthresh=100, linscale=1.0)
        reach *= 1.3
    set_limits(-reach, reach)
    axis = axes.xaxis if horizontal else axes.yaxis
    if reach > 6 * CHEMICAL_ACCURACY_MEV:
        decades = [10.0**power for power in range(2, int(np.log10(reach)) + 1)]
        axis.set_ticks([-value for value in decades[::-1]] + [0.0] + decades)
        axis.set_major_formatter(lambda value, _: "0" if value == 0 else f"{value:.0f}".replace("-", "−"))
        axis.set_minor_locator(axis.get_minor_locator().__class__(base=10, subs=range(2, 10)))


def _band(axes: Axes, horizontal: bool = False) -> None:
    span = axes.axvspan if horizontal else axes.axhspan
    line = axes.axvline if horizontal else axes.axhline
    span(-CHEMICAL_ACCURACY_MEV, CHEMICAL_ACCURACY_MEV, color=GREEN, alpha=0.15, linewidth=0, zorder=0)
    line(0, color=GREY, linewidth=0.6, zorder=1)


def _parity(axes: Axes, sets: dict[str, pd.DataFrame]) -> None:
    everything = pd.concat(sets.values())
    _band(axes)
    for index, (name, table) in enumerate(sets.items()):
        colour, marker = series_style(index)
        mae = summary(table)["mae_meV_per_atom"]
        axes.scatter(
            table["energy_dft_eV"] / table["n_atoms"],
            table["error_meV"],
            s=10,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            alpha=0.85,
            zorder=2 + index,
            label=f"{SET_TITLES.get(name, name)}: {quote(mae)}",
        )
    _error_scale(axes, everything["error_meV"])
    axes.set_xlabel("DFT energy (eV/atom)")
    axes.set_ylabel("EDNN − DFT (meV per structure)")
    axes.locator_params(axis="x", nbins=4)
    axes.legend(
        title="MAE (meV/atom)",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        borderaxespad=0.2,
        alignment="left",
        labelspacing=0.2,
    )


def _by_family(axes: Axes, table: pd.DataFrame) -> None:
    """One row per family: every structure of 60 atoms or fewer in all sets, jittered by its rank."""
    table = table[table["n_atoms"] <= ATOMS_PER_CELL] if (table["n_atoms"] <= ATOMS_PER_CELL).any() else table
    families = order_families(list(table["family"]))[::-1]
    _band(axes, horizontal=True)
    for row, family in enumerate(families):
        colour, marker = family_style(family, row)
        errors = np.sort(table.loc[table["family"] == family, "error_meV"].to_numpy())
        # A fixed low-discrepancy jitter: the same data give the same picture.
        jitter = ((np.arange(len(errors)) * 0.618034) % 1.0 - 0.5) * 0.6
        axes.scatter(
            errors,
            row + jitter,
            s=8,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            zorder=2,
        )
    _error_scale(axes, table["error_meV"], horizontal=True)
    axes.set_yticks(range(len(families)), [family_title(family) for family in families])
    axes.set_ylim(-0.6, len(families) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("EDNN − DFT (meV per structure)")


def _by_size(axes: Axes, table: pd.DataFrame) -> None:
    sizes = sorted(table["n_atoms"].unique())
    # Cells with a vacancy or a pore are counted with the nearest multiple of the 60-atom cell that held them.
    _band(axes)
    for index, family in enumerate(order_families(list(table["family"]))):
        colour, marker = family_style(family, index)
        here = table[table["family"] == family]
        axes.scatter(
            here["n_atoms"],
            here["error_meV"],
            s=10,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            alpha=0.85,
            zorder=2,
        )
    _error_scale(axes, table["error_meV"])
    low, high = min(sizes), max(sizes)
    margin = max(0.08 * (high - low), 4.0)
    atoms = np.linspace(low - margin, high + margin, 50)
    limit = CHEMICAL_ACCURACY_MEV * np.maximum(atoms / ATOMS_PER_CELL, 1.0)
    for sign in (-1, 1):
        axes.plot(atoms, sign * limit, color=GREEN, linewidth=0.9, linestyle="--", zorder=1)
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel("atoms in the cell")
    axes.set_ylabel("EDNN − DFT (meV per structure)")
    ticks = [size for size in (4, 8, 16, 60, 120, 240, 360, 480) if low - 1 <= size <= high + 1]
    if high > 2 * ATOMS_PER_CELL and len(ticks) >= 2:
        axes.set_xticks([size for size in ticks if size >= ATOMS_PER_CELL])
