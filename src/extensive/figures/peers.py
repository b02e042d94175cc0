"""Figure `peers` (baselines): microseconds per atom and errors of the network, empirical potentials and MACE."""

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from extensive import keys
from extensive.evaluation.tables import read_table
from extensive.evaluation.timed_weights import said_of_weights
from extensive.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_IN,
    GREEN,
    ORANGE,
    RED,
    SKY,
    Drawing,
    new_figure,
    panel_title,
    styled,
)

METHODS = {
    "ednn": ("EDNN, energy", BLUE, "o"),
    "ednn-forces": ("EDNN, energy and forces", SKY, "s"),
    "tersoff": ("Tersoff, C", ORANGE, "^"),
    "tersoff-bnc": ("Tersoff, B–N–C", RED, "v"),
    "mace": ("MACE", GREEN, "D"),
}
SETS = ("test", keys.INDEPENDENT_MD, keys.SUPERCELLS, keys.INTERPOLATION, keys.EXTRAPOLATION)
OURS = "ednn"


def from_files(timings: str, accuracy: str, record: str | None = None) -> Drawing:
    """Draw from a timing table, one of errors by method and set, and the record of which weights were timed."""
    drawing = draw(read_table(timings, keys.TIMING_COLUMNS), read_table(accuracy, keys.ACCURACY_COLUMNS))
    drawing.numbers["weights"] = said_of_weights(record) if record else ""
    return drawing


@styled
def draw(timings: pd.DataFrame, accuracy: pd.DataFrame) -> Drawing:
    """Cost left, errors right, a colour and a marker for each method."""
    timings = timings.assign(microseconds_per_atom=1e6 * timings["seconds"] / timings["n_atoms"])
    figure = new_figure(DOUBLE_IN, 2.9)
    left, right = figure.subplots(1, 2)
    for method, part in timings.groupby("method", sort=False):
        title, colour, marker = METHODS.get(method, (method, BLACK, "x"))
        left.plot("n_atoms", "microseconds_per_atom", f"{marker}-", data=part, color=colour, label=title)
    left.set_xscale("log")
    left.set_yscale("log")
    sizes = sorted(timings["n_atoms"].unique())
    left.set_xticks(sizes, [f"{size:,}" for size in sizes])
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set_xlabel("number of atoms")
    left.set_ylabel("time per atom (µs)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS))
    panel_title(left, "a", "cost of an evaluation")
    sets = sorted(accuracy["set"].unique(), key=lambda name: SETS.index(name) if name in SETS else len(SETS))
    for method, part in accuracy.groupby("method", sort=False):
        title, colour, marker = METHODS.get(method, (method, BLACK, "x"))
        rows = [sets.index(name) for name in part["set"]]
        right.plot(part["mae_meV_per_atom"], rows, marker, color=colour, label=title)
    right.set_xscale("log")
    # Errors span a decade or two: a few plain numbers rather than powers of ten.
    right.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_yticks(range(len(sets)), sets)
    right.set_ylim(len(sets) - 0.5, -0.5)
    right.set_xlabel("mean absolute error (meV/atom)")
    right.grid(True, axis="y", color="#E8E8E8", linewidth=0.5)
    panel_title(right, "b", "errors against DFT")
    return Drawing(figure, timings, {"ratios": ratios(timings)})


def ratios(timings: pd.DataFrame) -> dict[int, dict[str, float]]:
    """By number of atoms, the cost of the network's energy in units of each other method's evaluation."""
    found: dict[int, dict[str, float]] = {}
    for size, part in timings.groupby("n_atoms"):
        cost = dict(zip(part["method"], part["microseconds_per_atom"]))
        if OURS in cost:
            others = {name: cost[OURS] / value for name, value in cost.items() if name != OURS}
            found[int(size)] = {METHODS.get(name, (name,))[0]: value for name, value in others.items()}
    return found
