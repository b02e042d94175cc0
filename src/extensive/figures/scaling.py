"""Figure `scaling`: seconds against number of 60-atom cells, DFT and networks, with fitted exponents."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from extensive.evaluation.tables import read_table
from extensive.evaluation.timed_weights import said_of_weights
from extensive.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_IN,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    Drawing,
    new_figure,
    quote,
    styled,
)
from extensive.io import read_json
from extensive.keys import ATOMS_PER_CELL, TIMING_COLUMNS

PAPER_POINTS = pd.DataFrame(  # facts of the EDNN paper: 57 ms for 60 atoms, 35.2 million atoms in 25 minutes
    {"n_atoms": [60, 35_200_000], "seconds": [0.057, 25 * 60.0]}
)
PAPER_SHEET_CELLS = 35_200_000 / ATOMS_PER_CELL
METHODS = {
    "gpaw": ("DFT (GPAW)", RED, "s"),
    "cnn": ("CNN", ORANGE, "D"),
    "cnn-paper": ("CNN, papers' form", "#8C6D1F", "D"),
    "ednn-paper": ("EDNN tiled, papers' form", PURPLE, "v"),
    "ednn-tiled": ("EDNN tiled", SKY, "^"),
    "ednn-fused": ("EDNN fused", BLUE, "o"),
    "ednn-fused-bfloat16": ("EDNN fused, bfloat16", "#003D66", "P"),
    "ednn-streamed": ("EDNN streamed sheet", GREEN, "*"),
}
DURATIONS_YEAR_S = 3.156e7
# Width of an exponent's interval beyond which the sizes do not determine it, and no years are said.
UNDETERMINED = 1.0
LARGE_CELLS = 10
DURATIONS = {
    1e-3: "1 ms",
    1.0: "1 s",
    60.0: "1 min",
    3600.0: "1 h",
    86400.0: "1 day",
    DURATIONS_YEAR_S: "1 year",
}


def from_files(
    dft: str,
    networks: str,
    exponents: str,
    sheet: str | None = None,
    model: str | None = None,
    record: str | None = None,
) -> Drawing:
    """Draw from the timing CSVs, the fitted exponents, the EDNN's description and the record of what was timed."""
    tables = [read_table(path, TIMING_COLUMNS) for path in (dft, networks)]
    streamed = read_table(sheet, TIMING_COLUMNS) if sheet else None
    drawing = draw(pd.concat(tables, ignore_index=True), read_json(exponents)["fits"], streamed)
    drawing.numbers["weights"] = said_of_weights(record) if record else ""
    gain = fusing_gain(tables[1])
    if model and gain:
        description = read_json(model)
        f, c = description["model"]["focus_px"], description["context_px"]
        drawing.numbers["fusing"] = {"measured": gain, "arithmetic": ((f + 2 * c) / f) ** 2, "f": f, "c": c}
    return drawing


def fusing_gain(networks: pd.DataFrame) -> float | None:
    """How many times faster fused evaluation is than tiled: the median over the sizes that both were timed at.

    On one device, from LARGE_CELLS cells on, where fixed costs no longer count; None where there is no such size.
    """
    series = [
        networks[networks["method"] == f"ednn-{form}"].set_index(["device", "n_cells"])["seconds"]
        for form in ("tiled", "fused")
    ]
    ratio = (series[0] / series[1]).dropna()
    ratio = ratio[ratio.index.get_level_values("n_cells") >= LARGE_CELLS]
    return float(ratio.median()) if len(ratio) else None


def with_one_of_others(timings: pd.DataFrame, sheet: pd.DataFrame | None = None) -> pd.DataFrame:
    """Timings of further networks, `<name>-fused...`, left out but for one.

    It is the one that the large sheet was streamed by, `<name>-streamed`, else the one that needs least for an atom.
    """
    timings = timings.reset_index(drop=True)
    names = timings["method"].str.extract("^(.+)-fused.*$")[0].where(~timings["method"].isin(METHODS))
    if names.isna().all():
        return timings
    per_atom = timings["seconds"] / timings["n_atoms"]
    streamed = set() if sheet is None else set(sheet["method"].str.removesuffix("-streamed"))
    chosen = names.isin(streamed) if names.isin(streamed).any() else names.notna()
    shown = names[per_atom[chosen].idxmin()]
    return timings[names.isna() | (names == shown)]


def _title(method: str) -> str:
    """What a series is called; one of a further network, by its name."""
    if method in METHODS:
        return METHODS[method][0]
    for form, title in (("fused", "fused"), ("streamed", "streamed sheet")):
        name, found, number_type = method.partition(f"-{form}")
        if found:
            return f"{name} {title}" + number_type.replace("-", ", ", 1)
    return method


@styled
def draw(timings: pd.DataFrame, fits: list[dict[str, Any]], sheet: pd.DataFrame | None = None) -> Drawing:
    """Log-log plot of timings; DFT's fit is drawn dashed beyond what was measured.

    `fits` are those of extensive.timing.fits, by method, device and cores, in powers of n_atoms.
    """
    figure = new_figure(DOUBLE_IN, 3.9)
    axes = figure.subplots()
    # Several processes (MPI) share one DFT energy: points beside those of one core, not a scaling of their own.
    fits = [fit for fit in fits if fit["method"] != "gpaw" or fit["cores"] == 1]
    fit_of = {(fit["method"], fit["device"], fit["cores"]): fit for fit in fits}
    devices = list(dict.fromkeys(timings["device"]))
    drawn = with_one_of_others(timings, sheet)
    top = max(PAPER_POINTS["seconds"].max(), timings["seconds"].max()) * 300
    reach = max(PAPER_SHEET_CELLS, timings["n_cells"].max()) * 2.5
    for index, (key, series) in enumerate(drawn.groupby(["method", "device", "cores"], sort=False)):
        method, device, cores = key
        fit = fit_of.get(key)
        where = _where(device, cores)
        variant = devices.index(device) + (method == "gpaw" and cores > 1)
        _series(axes, method, where, series.sort_values("n_cells"), fit, variant, index)
        if method == "gpaw" and fit:
            _extrapolate(axes, fit, series["n_cells"].max(), reach, top)
    if sheet is not None and len(sheet):
        _sheet(axes, sheet)
    axes.scatter(
        PAPER_POINTS["n_atoms"] / ATOMS_PER_CELL,
        PAPER_POINTS["seconds"],
        s=45,
        marker="X",
        color=BLACK,
        zorder=5,
        linewidths=0,
        label="papers' EDNN: 57 ms, 25 min",
    )
    _decorate(axes, timings, reach, top)
    figure.legend(loc="outside right center", labelspacing=0.7, handlelength=1.8)
    parts = [timings] if sheet is None else [timings, sheet]
    table = pd.concat([part[list(TIMING_COLUMNS)] for part in parts], ignore_index=True)
    numbers = {
        "fits": {f"{_title(fit['method'])}, {fit['device']}": _exponent(fit) for fit in fits},
        "dft_extrapolated_years": _years(fits),
        "dft_extrapolated": _long_duration(_years(fits) or 0.0),
        "largest_n_atoms": int(table["n_atoms"].max()),
        "hardware": sorted(str(text) for text in table["hardware"].dropna().unique()),
    }
    return Drawing(figure, table, numbers)


def _exponent(fit: dict[str, Any]) -> str:
    if fit["exponent_low"] is None:
        return f"{fit['exponent']:.2f}"
    return f"{fit['exponent']:.2f} ± {0.5 * (fit['exponent_high'] - fit['exponent_low']):.2f}"


def _long_duration(years: float) -> str:
    """One significant digit, in the largest unit of which there is at least one."""
    units = {"years": 1.0, "days": 365.25, "hours": 365.25 * 24}
    name = next((name for name, count in units.items() if years * count >= 1), "hours")
    return f"{float(f'{years * units[name]:.1g}'):,g} {name}"


def _years(fits: list[dict[str, Any]]) -> float | None:
    """What the fit of DFT would need for the papers' sheet, years; None where its exponent is not determined."""
    dft = [fit for fit in fits if fit["method"] == "gpaw" and fit["exponent_low"] is not None]
    certain = [fit for fit in dft if fit["exponent_high"] - fit["exponent_low"] <= UNDETERMINED]
    seconds = [_fitted(fit, np.array(PAPER_SHEET_CELLS)) for fit in certain]
    return float(seconds[0]) / DURATIONS_YEAR_S if seconds else None


def _fitted(fit: dict[str, Any], cells: np.ndarray) -> np.ndarray:
    return fit["prefactor_s"] * (cells * ATOMS_PER_CELL) ** fit["exponent"]


def _series(
    axes: Axes,
    method: str,
    where: str,
    series: pd.DataFrame,
    fit: dict[str, Any] | None,
    variant: int,
    index: int,
) -> None:
    _, colour, marker = METHODS.get(method, (method, GREY, "os^Dv"[index % 5]))
    label = f"{_title(method)}, {where}" + (f"\n(N$^{{{fit['exponent']:.2f}}}$)" if fit else "")
    axes.plot(
        series["n_cells"],
        series["seconds"],
        linestyle="none",
        marker=marker,
        markersize=4.5,
        color=colour,
        markerfacecolor=colour if variant == 0 else "white",
        markeredgewidth=0.9,
        label=label,
        zorder=3,
    )
    if fit:
        cells = np.geomspace(fit["n_atoms_min"], fit["n_atoms_max"], 50) / ATOMS_PER_CELL
        axes.plot(cells, _fitted(fit, cells), color=colour, linewidth=1.0, zorder=2)


def _extrapolate(axes: Axes, fit: dict[str, Any], start: float, reach: float, top: float) -> None:
    # A handful of noisy sizes may fit anything; a line that does not rise is not extrapolated.
    if fit["exponent"] <= 0:
        return
    end = min(reach, (top / fit["prefactor_s"]) ** (1 / fit["exponent"]) / ATOMS_PER_CELL)
    if end > start:
        cells = np.geomspace(start, end, 50)
        axes.plot(
            cells,
            _fitted(fit, cells),
            color=METHODS["gpaw"][1],
            linewidth=1.0,
            linestyle=(0, (4, 2)),
            zorder=2,
            label="DFT, extrapolated",
        )


def _sheet(axes: Axes, sheet: pd.DataFrame) -> None:
    devices = list(dict.fromkeys(sheet["device"]))
    for number, (key, part) in enumerate(sheet.groupby(["method", "device", "cores"], sort=False)):
        method, device, cores = key
        _, colour, marker = METHODS.get(method, ("", GREY, "*"))
        axes.scatter(
            part["n_cells"],
            part["seconds"],
            s=75,
            marker=marker,
            zorder=6,
            linewidths=0.9,
            edgecolors=colour,
            facecolors=colour if device == devices[0] else "white",
            label=f"{_title(method)}, {_where(device, cores)}",
        )
        largest = part.loc[part["n_cells"].idxmax()]
        atoms = "" if number else f"{quote(largest['n_atoms'] / 1e6)} M atoms\n"
        axes.annotate(
            f"{atoms}in {_duration(largest['seconds'])}",
            (largest["n_cells"], largest["seconds"]),
            textcoords="offset points",
            xytext=(12, -7) if number else (-7, 0),
            ha="right",
            va="top" if number else "bottom",
            fontsize=7,
        )


def _where(device: str, cores: int) -> str:
    return f"{cores} CPU core{'s' if cores > 1 else ''}" if device == "cpu" else "GPU"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{quote(seconds * 1e3)} ms"
    return f"{quote(seconds)} s" if seconds < 120 else f"{quote(seconds / 60)} min"


def _decorate(axes: Axes, timings: pd.DataFrame, reach: float, top: float) -> None:
    axes.set(xscale="log", yscale="log", xlabel="number of 60-atom cells", ylabel="time for one energy (s)")
    axes.set_xlim(min(0.55, 0.6 * timings["n_cells"].min()), reach)
    axes.set_ylim(0.3 * min(timings["seconds"].min(), PAPER_POINTS["seconds"].min()), top)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=12))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major", color="#E8E8E8", linewidth=0.5, zorder=0)
    atoms = axes.secondary_xaxis("top", functions=(lambda n: n * ATOMS_PER_CELL, lambda n: n / ATOMS_PER_CELL))
    atoms.set_xlabel("number of atoms")
    atoms.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    names = {value: text for value, text in DURATIONS.items() if low < value < high}
    clock = axes.secondary_yaxis("right")
    clock.yaxis.set_major_locator(FixedLocator(list(names)))
    clock.yaxis.set_minor_locator(FixedLocator([]))
    clock.yaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))
