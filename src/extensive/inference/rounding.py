"""What bfloat16 rounds of a network's energies, beside its error: by this `auto` chooses a number type."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.inference.engine import Engine
from extensive.inference.number_types import BFLOAT16, FLOAT32
from extensive.models import Potential, load_model
from extensive.models.files import weights_digest


def measure_rounding(path: str | Path, structures: Sequence[Atoms]) -> dict[str, Any]:
    """What is written beside the model at `path`: mean and largest rounding, and float32's error, in meV/atom.

    `structures` carry REF_energy: those by which the model was chosen, no test set. Where there are none, nothing is
    known. Raises InputError for a model that the engine cannot stream.
    """
    if not structures:
        return {"weights_sha256": weights_digest(path), "structures": 0}
    potential = load_model(path)
    exact, rounded = (_per_atom(potential, structures, name) for name in (FLOAT32, BFLOAT16))
    wanted = np.array([float(atoms.info[keys.REF_ENERGY]) / len(atoms) for atoms in structures])
    rounding, errors = (keys.MEV_PER_EV * np.abs(other - exact) for other in (rounded, wanted))
    return {
        "weights_sha256": weights_digest(path),
        "structures": len(structures),
        "error_meV_per_atom": float(errors.mean()),
        "bfloat16_mean_meV_per_atom": float(rounding.mean()),
        "bfloat16_largest_meV_per_atom": float(rounding.max()),
    }


def _per_atom(potential: Potential, structures: Sequence[Atoms], dtype: str) -> np.ndarray:
    engine = Engine(potential, dtype)
    return np.array([engine.energy(atoms) / len(atoms) for atoms in structures])
