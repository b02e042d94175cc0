"""Cold smearing (Marzari and Vanderbilt, Phys. Rev. Lett. 82, 3296 (1999)) with the Fermi level where it belongs.

The occupation f(x), x = (eps - mu) / width, is above 1 where a state lies somewhat below the level mu. So where there
is a gap, the number of electrons is held to rounding by every level well inside it, and once more by a level at the
edge of the filled bands, whose emptied top makes up for the overshoot below: with an entropy and forces that an
insulator does not have (dos Santos and Marzari, Phys. Rev. B 107, 195122 (2023)). As they propose, the level of an
ordinary, Gaussian distribution of the same width, of which there is one, is found first, and the root nearest to it is
taken.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

# In widths: steps in which a root is looked for, and how far from all bands occupations are 0 or 1.
STEP = 0.01
FAR = 10.0
# Electrons that a level inside a gap may miss: less than a microelectronvolt in a sheet's energy.
ELECTRON_TOLERANCE = 1e-8


def cold_occupations(x: np.ndarray) -> np.ndarray:
    """Cold-smearing occupations, 0 to 1 but for an overshoot, at x = (eps - mu) / width."""
    return np.exp(-((x + math.sqrt(0.5)) ** 2)) / math.sqrt(2.0 * math.pi) + 0.5 * (1.0 - erf(math.sqrt(0.5) + x))


def gaussian_occupations(x: np.ndarray) -> np.ndarray:
    """Occupations of a Gaussian distribution at x = (eps - mu) / width."""
    return 0.5 * (1.0 - erf(x))


def fermi_level(electrons: float, energies: np.ndarray, weights: np.ndarray, width: float) -> float:
    """Fermi level (unit of the energies) of cold smearing, the root nearest to that of a Gaussian distribution.

    `energies` (K, N) of N bands at K k-points, their `weights` (K,) adding up to 1, `electrons` of one spin.
    """

    def excess(level: float, occupations: Any) -> float:
        return float(weights @ occupations((energies - level) / width).sum(axis=1)) - electrons

    low, high = float(energies.min()) - FAR * width, float(energies.max()) + FAR * width
    middle = brentq(excess, low, high, args=(gaussian_occupations,), xtol=1e-13)
    ends = {+1: (middle, excess(middle, cold_occupations))}
    ends[-1] = ends[+1]
    if abs(ends[+1][1]) < ELECTRON_TOLERANCE:
        return middle
    while True:  # far below the bands electrons are missing, far above there are too many: it ends
        for side, (inner, before) in list(ends.items()):
            outer = inner + side * STEP * width
            after = excess(outer, cold_occupations)
            if before * after <= 0.0:
                return brentq(excess, *sorted((inner, outer)), args=(cold_occupations,), xtol=1e-14)
            ends[side] = (outer, after)


@contextmanager
def right_fermi_level() -> Iterator[None]:
    """GPAW's cold smearing inside takes this module's level."""
    from gpaw.mpi import broadcast_float
    from gpaw.occupations import MarzariVanderbiltCalculator, SmoothDistribution, collect_eigelvalues

    def calculate(
        self: Any, nelectrons: float, eig_un: Any, weight_u: Any, spin_u: Any, f_un: Any, guess: float, fixed: bool
    ) -> tuple[float, float]:
        if not fixed:
            energies, weights, _ = collect_eigelvalues(eig_un, weight_u, self.bd, self.kpt_comm)
            first = self.bd.comm.rank == self.kpt_comm.rank == 0
            guess = fermi_level(nelectrons, energies, weights, self._width) if first else math.nan
            guess = broadcast_float(broadcast_float(guess, self.kpt_comm), self.bd.comm)
        # GPAW's own with the level given: occupations into `f_un`, and the entropy.
        return SmoothDistribution._calculate(self, nelectrons, eig_un, weight_u, spin_u, f_un, guess, True)

    MarzariVanderbiltCalculator._calculate = calculate
    try:
        yield
    finally:
        del MarzariVanderbiltCalculator._calculate
