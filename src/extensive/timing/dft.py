"""Seconds of one DFT energy against the number of atoms, on one core, with the settings that labels are made
with.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from extensive.reference.calculation import new_calculator, prepare_serial_process
from extensive.reference.settings import DFTSettings, with_vacuum
from extensive.structures.lattices import graphene
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import Timing, cells_of_atoms, median_seconds

# A rattled sheet: pristine ones converge in fewer iterations than anything of interest.
DISPLACEMENT_A = 0.05
WARMUP_CELLS = (1, 1)


def time_dft(supercell: Sequence[int], settings: dict[str, Any], repeats: int, seed: int) -> Timing:
    """Time one single-point energy of graphene, `supercell` (nx, ny) rectangular 4-atom cells.

    The k-points are those of the labels: every size samples the same states of the sheet (Monkhorst-Pack 2 x
    2 of the 60-atom cell, folded), so that the energies are comparable and larger cells need fewer points.
    Set-up of the calculator is part of the time, as it is for a user; importing GPAW and the forces (15-20 %
    more) are not.
    """
    prepare_serial_process()
    dft = DFTSettings.from_config(settings)
    rng = np.random.default_rng([seed, *supercell])

    def single_point(cells: tuple[int, int]) -> None:
        atoms = graphene(cells)
        atoms.info["supercell"] = np.array(cells)
        atoms.positions[:, :2] += DISPLACEMENT_A * rng.standard_normal((len(atoms), 2))
        calculator = new_calculator(atoms, dft, dft.mixer, dft.max_iterations)
        for _ in calculator.iconverge(with_vacuum(atoms, dft)):
            pass

    single_point(WARMUP_CELLS)
    cells = (int(supercell[0]), int(supercell[1]))
    n_atoms = len(graphene(cells))
    seconds, done = median_seconds(lambda: single_point(cells), repeats, warmup=0)
    return Timing("gpaw", "cpu", cells_of_atoms(n_atoms), n_atoms, seconds, done, 1, hardware_label())
