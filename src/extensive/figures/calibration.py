"""Figure `calibration`: whether the ensemble's uncertainty says how large the error is."""

import math

import numpy as np
import pandas as pd
from scipy.stats import t as student

from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import with_errors
from extensive.figures.style import (
    BLACK,
    DOUBLE_IN,
    GREY,
    Drawing,
    new_figure,
    panel_title,
    scatter,
    series_style,
    styled,
)
from extensive.keys import MEV_PER_EV, PREDICTION_COLUMNS

COLUMNS = (*PREDICTION_COLUMNS, "energy_std_eV")
# A curve of fewer structures would be made of a few steps that mean nothing.
LEAST_STRUCTURES = 10
LINES = ("-", (0, (6, 1)), "-.", (0, (4, 1, 1, 1, 1, 1)), (0, (2, 1)))
LEAST = 1e-3  # meV/atom; a logarithmic axis has no zero


def from_files(trainings: int, **paths: str) -> Drawing:
    """Draw from predictions CSVs of an ensemble of so many `trainings`, given as <set>=path."""
    return draw(
        {name.replace("_", "-"): read_predictions(path, columns=COLUMNS) for name, path in paths.items()}, trainings
    )


def share_within(reach: float | np.ndarray, trainings: int) -> float | np.ndarray:
    """Share of errors within `reach` standard deviations where DFT is one more draw of what `trainings` are drawn from.

    (E_DFT - mean) / (std sqrt(1 + 1/n)) is then distributed as Student's t with n - 1 degrees of freedom: few trainings
    know their own spread only roughly, so that far errors are more frequent than a normal distribution has them.
    """
    return 1 - 2 * student.sf(reach / math.sqrt(1 + 1 / trainings), trainings - 1)


@styled
def draw(tables: dict[str, pd.DataFrame], trainings: int) -> Drawing:
    """(a) error against uncertainty, meV/atom; (b) share of errors within so many standard deviations.

    The dashed line is what a calibrated ensemble of so many trainings would have (`share_within`), the dotted one what
    a normal error whose width is known would.
    """
    parts = [with_errors(table).assign(set=name) for name, table in tables.items() if len(table)]
    everything = pd.concat(parts, ignore_index=True)
    std = everything["energy_std_eV"] * MEV_PER_EV / everything["n_atoms"]
    everything["std_meV_per_atom"] = std.clip(LEAST)
    figure = new_figure(DOUBLE_IN, 3.1)
    against, shares = figure.subplots(1, 2)
    reach = np.linspace(0, 4, 81)
    normal = [math.erf(z / math.sqrt(2)) for z in reach]
    curves = 0
    for index, (name, part) in enumerate(everything.groupby("set", sort=False)):
        error = np.maximum(part["error_meV_per_atom"].abs(), LEAST)
        deviation = part["std_meV_per_atom"]
        scatter(against, deviation, error, series_style(index), 12, zorder=2, label=f"{name} ({len(part)})")
        if len(part) >= LEAST_STRUCTURES:
            ratios = np.sort(error / deviation)
            within = np.arange(len(ratios) + 1) / len(ratios)
            style = {"color": series_style(index)[0], "linestyle": LINES[curves % len(LINES)]}
            shares.step(np.append(0.0, ratios), within, where="post", label=f"{name} ({len(part)})", **style)
            curves += 1
    ends = [everything["std_meV_per_atom"].min(), everything["std_meV_per_atom"].max()]
    against.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
    against.set(xscale="log", yscale="log")
    against.set(xlabel="uncertainty, one standard deviation (meV/atom)", ylabel="absolute error (meV/atom)")
    shares.plot(
        reach, share_within(reach, trainings), color=BLACK, linestyle="--", label=f"expected of {trainings} trainings"
    )
    shares.plot(reach, normal, color=BLACK, linestyle=":", label="normal distribution")
    shares.set(xlabel="absolute error / standard deviation", ylabel="share of structures within", ylim=(0, 1.02))
    shares.set_xlim(0, reach[-1])
    shares.legend(loc="lower right")
    panel_title(against, "a", "each structure")
    panel_title(shares, "b", f"sets of {LEAST_STRUCTURES} structures and more")
    figure.legend(*against.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    ratio = everything["error_meV_per_atom"].abs() / everything["std_meV_per_atom"]
    ranks = everything[["error_meV_per_atom", "std_meV_per_atom"]].abs().rank().corr().iloc[0, 1]
    numbers = {
        "trainings": trainings,
        "within_two": float((ratio <= 2).mean()),
        "expected_within_two": float(share_within(2.0, trainings)),
        "median_ratio": float(ratio.median()),
        "rank_correlation": None if np.isnan(ranks) else float(ranks),
    }
    return Drawing(figure, everything, numbers)
