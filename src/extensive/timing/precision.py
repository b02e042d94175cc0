"""What speed costs in accuracy, in meV/atom: number type, pixel pitch, and where atoms fall between pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms

from extensive.inference import Engine
from extensive.inference.number_types import chosen
from extensive.keys import MEV_PER_EV
from extensive.models import load_model

# Copies along x and y: a cell and its multiples get different pitches, and should have the same energy per
# atom.
PITCH_COPIES = ((2, 3), (3, 2), (5, 7))
SHIFTS = 8


def measure_precision(models: Sequence[str | Path], structures: Sequence[Atoms], dtypes: Sequence[str]) -> pd.DataFrame:
    """Differences per atom of each streamed model: columns model, quantity, dtype, mean and largest,
    structures.

    quantity 'dtype': against float64; 'pitch': the structure repeated, whose image has another pixel pitch,
    against itself; 'shift': rigid shifts by parts of a pixel, against their mean (the raster's own egg-box).
    """
    rows = []
    rng = np.random.default_rng(0)
    for path in models:
        potential = load_model(path)
        if not getattr(potential.network, "can_fuse", False):
            continue
        exact = Engine(potential, "float64")
        energies = np.array([exact.energy(atoms) for atoms in structures])
        n_atoms = np.array([len(atoms) for atoms in structures])

        def add(quantity: str, dtype: str, errors_eV: np.ndarray, model: str = Path(path).stem) -> None:
            errors = np.abs(errors_eV) * MEV_PER_EV
            rows.append((model, quantity, dtype, float(errors.mean()), float(errors.max()), len(structures)))

        for dtype in chosen(dtypes, potential):
            engine = Engine(potential, dtype)
            found = np.array([engine.energy(atoms) for atoms in structures])
            add("dtype", dtype, (found - energies) / n_atoms)
        repeated = [
            [exact.energy(atoms.repeat((*copies, 1))) / (copies[0] * copies[1]) for copies in PITCH_COPIES]
            for atoms in structures
        ]
        add("pitch", "float64", (np.array(repeated) - energies[:, None]) / n_atoms[:, None])
        shifted = []
        for atoms in structures:
            moved = []
            for shift in rng.uniform(0, potential.config.pixel_size_A * potential.network.stride, (SHIFTS, 2)):
                copy = atoms.copy()
                copy.positions[:, :2] += shift
                moved.append(exact.energy(copy))
            shifted.append(np.array(moved) - np.mean(moved))
        add("shift", "float64", np.array(shifted) / n_atoms[:, None])
    columns = ["model", "quantity", "dtype", "mean_meV_per_atom", "largest_meV_per_atom", "structures"]
    return pd.DataFrame(rows, columns=columns)
