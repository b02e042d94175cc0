"""Scaling exponents: seconds = a * atoms^b, by least squares in log-log, with a confidence interval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from extensive.errors import InputError
from extensive.io import write_json

CONFIDENCE = 0.95


@dataclass(frozen=True)
class PowerLaw:
    """A fitted seconds = prefactor_s * n_atoms ** exponent and the range of sizes that it was fitted over."""

    exponent: float
    exponent_low: float | None  # None where two points leave no freedom to estimate an interval
    exponent_high: float | None
    prefactor_s: float
    points: int
    n_atoms_min: int
    n_atoms_max: int
    decades: float
    confidence: float = CONFIDENCE

    def seconds(self, n_atoms: float) -> float:
        """The fitted time of a system of `n_atoms`, also beyond the range of the fit."""
        return self.prefactor_s * float(n_atoms) ** self.exponent


def fit_power_law(n_atoms: Sequence[float], seconds: Sequence[float]) -> PowerLaw:
    """Fit seconds = a * n_atoms ** b; the interval is Student's at 95 %.

    Raises InputError when there are fewer than two different sizes or a value is not positive.
    """
    sizes, times = np.asarray(n_atoms, float), np.asarray(seconds, float)
    if sizes.shape != times.shape or len(np.unique(sizes)) < 2:
        raise InputError(f"a power law needs at least two different sizes, got {sorted(set(sizes.tolist()))}")
    if not (np.all(sizes > 0) and np.all(times > 0)):
        raise InputError("a power law needs positive sizes and times")
    fit = stats.linregress(np.log(sizes), np.log(times))
    low = high = None
    if len(sizes) > 2:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(sizes) - 2) * fit.stderr)
        low, high = float(fit.slope) - half, float(fit.slope) + half
    return PowerLaw(
        exponent=float(fit.slope),
        exponent_low=low,
        exponent_high=high,
        prefactor_s=float(np.exp(fit.intercept)),
        points=len(sizes),
        n_atoms_min=int(sizes.min()),
        n_atoms_max=int(sizes.max()),
        decades=float(np.log10(sizes.max() / sizes.min())),
    )


def fit_exponents(
    timings: pd.DataFrame, linear_from_atoms: int, one_cell_methods: Sequence[str] = ("gpaw",)
) -> list[dict[str, Any]]:
    """One fit per (method, device, cores): DFT over all sizes, networks from `linear_from_atoms` on.

    Below that size a network's time is the fixed cost of starting some tens of operations, not work. Groups
    with fewer than two sizes in the range (the CNN, whose size is fixed) are left out.
    """
    fits = []
    for (method, device, cores), group in timings.groupby(["method", "device", "cores"], sort=True):
        if method not in one_cell_methods:
            group = group[group.n_atoms >= linear_from_atoms]
        if group.n_atoms.nunique() < 2:
            continue
        law = fit_power_law(group.n_atoms.to_numpy(), group.seconds.to_numpy())
        fits.append({"method": method, "device": device, "cores": int(cores)} | asdict(law))
    return fits


def write_exponents(tables: Sequence[str | Path], path: str | Path, linear_from_atoms: int) -> None:
    """Fit the timing tables (CSV) together and write the fits as JSON."""
    frames = [pd.read_csv(table) for table in tables]
    columns = ["method", "device", "n_atoms", "seconds", "cores"]
    joined = pd.concat([frame[columns] for frame in frames if len(frame)], ignore_index=True)
    write_json(path, {"linear_from_atoms": linear_from_atoms, "fits": fit_exponents(joined, linear_from_atoms)})
