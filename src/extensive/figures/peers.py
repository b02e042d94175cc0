"""Figure `peers` (baselines): errors against microseconds per atom, of networks and other potentials."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from extensive import keys
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
    YELLOW,
    Drawing,
    new_figure,
    panel_title,
    series_style,
    styled,
)

OURS = "ednn"
METHODS = {
    OURS: ("EDNN", BLUE, "o"),
    "cnn": ("CNN, papers'", SKY, "s"),
    "tersoff": ("Tersoff, C", ORANGE, "^"),
    "tersoff-bnc": ("Tersoff, B–N–C", RED, "v"),
    "uf3": ("UF3", PURPLE, "P"),
    "snap": ("SNAP", YELLOW, "X"),
    "mace-small": ("MACE, small", GREY, "d"),
    "mace": ("MACE", GREEN, "D"),
}
# How a timing's method says that forces were computed too.
WITH_FORCES = "+forces"
ENERGY, BOTH = "energy", "energy and forces"
EVALUATIONS = {
    ENERGY: ("mae_meV_per_atom", "energy error (meV/atom)"),
    BOTH: (keys.FORCES_COLUMN, "force error (meV/Å)"),
}
# What is shown where there is it: dynamics that nothing was learned of, then the correlated test.
SETS = (keys.INDEPENDENT_MD, keys.TEST)
LARGE, SMALL = 5.5, 2.8


def from_files(timings: str, accuracy: str, record: str | None = None) -> Drawing:
    """Draw from a timing table, one of errors by method and set, and the record of which weights were timed."""
    drawing = draw(read_table(timings, keys.TIMING_COLUMNS), read_table(accuracy, keys.ACCURACY_COLUMNS))
    drawing.numbers["weights"] = said_of_weights(record) if record else ""
    return drawing


def marks(timings: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """A row for each potential, evaluation, size and set: microseconds per atom, and the error of what is evaluated.

    What was timed once counts for the energy alone and for both: LAMMPS always computes forces. Errors are in meV per
    atom of energies, meV/Angstrom of forces.
    """
    times = timings.assign(microseconds_per_atom=1e6 * timings["seconds"] / timings["n_atoms"])
    has_both = times["method"].str.endswith(WITH_FORCES)
    times["method"] = times["method"].str.removesuffix(WITH_FORCES)
    once = ~times["method"].isin(times["method"][has_both])
    errors = accuracy.assign(method=accuracy["method"].str.removesuffix(WITH_FORCES))
    sets = [name for name in SETS if name in set(errors["set"])] or list(errors["set"].unique()[:2])
    parts = []
    for evaluation, (column, _) in EVALUATIONS.items():
        own = times[once | (has_both if evaluation == BOTH else ~has_both)]
        for name in sets:
            known = errors[errors["set"] == name].set_index("method")[column].rename("error").reset_index()
            found = own[["method", "n_atoms", "microseconds_per_atom"]].merge(known, on="method")
            # Labels without forces have no errors of them.
            parts.append(found.dropna(subset="error").assign(evaluation=evaluation, set=name))
    columns = ["set", "evaluation", "method", "n_atoms", "microseconds_per_atom", "error"]
    return pd.concat(parts, ignore_index=True)[columns]


def common_size(timings: pd.DataFrame) -> int | None:
    """Largest number of atoms that all methods of more than one size were timed at; None if there is none."""
    sizes = [set(part["n_atoms"]) for _, part in timings.groupby("method")]
    several = [found for found in sizes if len(found) > 1] or sizes
    shared = set.intersection(*several)
    return int(max(shared)) if shared else None


@styled
def draw(timings: pd.DataFrame, accuracy: pd.DataFrame) -> Drawing:
    """A row of panels for each set, energies left, forces, where labels have any, right; a mark for each method.

    Large marks are of the common size, small ones of the others. The line joins what nothing is both cheaper and
    better than, at the common size.
    """
    table, size = marks(timings, accuracy), common_size(timings)
    sets, methods = list(table["set"].unique()), list(dict.fromkeys(table["method"]))
    figure = new_figure(DOUBLE_IN, 0.7 + 2.35 * len(sets))
    evaluations = {name: value for name, value in EVALUATIONS.items() if name in set(table["evaluation"])}
    panels = figure.subplots(len(sets), len(evaluations), squeeze=False)
    styles = _styles(methods)
    letters = iter("abcdefgh")
    for row, name in zip(panels, sets):
        for axes, (evaluation, (_, title)) in zip(row, evaluations.items()):
            part = table[(table["set"] == name) & (table["evaluation"] == evaluation)]
            _panel(axes, part, styles, size)
            axes.set_ylabel(title)
            panel_title(axes, next(letters), f"{evaluation}, {name}")
    for axes in panels[-1]:
        axes.set_xlabel("time per atom (µs)")
    handles = {handle.get_label(): handle for axes in panels.flat for handle in axes.lines}
    shown = [styles[method][0] for method in methods if styles[method][0] in handles]
    # One line of up to six, else two.
    figure.legend(
        [handles[title] for title in shown],
        shown,
        loc="outside lower center",
        ncols=-(-len(shown) // (1 + (len(shown) > 6))),
    )
    numbers = {"ratios": ratios(timings), "size": size, "others": sorted(set(map(int, timings["n_atoms"])) - {size})}
    return Drawing(figure, table, numbers)


def _styles(methods: list[str]) -> dict[str, tuple[str, str, str]]:
    """Title, colour and marker of each method; other networks of one's own take spare ones."""
    others = [method for method in methods if method not in METHODS]
    spare = {name: (name, BLACK, series_style(index)[1]) for index, name in enumerate(others)}
    return {method: METHODS.get(method) or spare[method] for method in methods}


def _panel(axes: Axes, part: pd.DataFrame, styles: dict[str, tuple[str, str, str]], size: int | None) -> None:
    for method, rows in part.groupby("method", sort=False):
        title, colour, marker = styles[method]
        large = rows["n_atoms"] == (size if size in set(rows["n_atoms"]) else rows["n_atoms"].max())
        axes.plot(rows["microseconds_per_atom"], rows["error"], "-", color=colour, linewidth=0.6, alpha=0.6)
        for chosen, width, label in ((~large, SMALL, None), (large, LARGE, title)):
            axes.plot(
                *(rows[chosen]["microseconds_per_atom"], rows[chosen]["error"], marker),
                color=colour, markersize=width, markeredgecolor=BLACK, markeredgewidth=0.4, zorder=3,
                label=label or "_",
            )  # fmt: skip
    best = part[part["n_atoms"] == size].sort_values(["microseconds_per_atom", "error"])
    best = best[best["error"] < best["error"].cummin().shift(fill_value=float("inf"))]
    axes.step(best["microseconds_per_atom"], best["error"], color="#BBBBBB", where="post", linewidth=1.0, zorder=1)
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # Errors span a decade or two: a few plain numbers rather than powers of ten.
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.grid(True, color="#EEEEEE", linewidth=0.5)
    axes.set_axisbelow(True)


def ratios(timings: pd.DataFrame) -> dict[int, dict[str, float]]:
    """By number of atoms, the cost of the network's energy in units of each other method's evaluation."""
    found: dict[int, dict[str, float]] = {}
    cost_of = timings.assign(cost=timings["seconds"] / timings["n_atoms"])
    for size, part in cost_of.groupby("n_atoms"):
        cost = dict(zip(part["method"], part["cost"]))
        if OURS in cost:
            others = {name: cost[OURS] / value for name, value in cost.items() if name != OURS}
            found[int(size)] = {_title(name): value for name, value in others.items()}
    return found


def _title(method: str) -> str:
    name = method.removesuffix(WITH_FORCES)
    return METHODS.get(name, (name,))[0] + (" with forces" if method != name else "")
