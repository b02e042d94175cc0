"""Stress of users' labels in eV/Angstrom^3, ASE's order and sign, or a virial: what a strain of the cell costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from extensive import keys
from extensive.errors import InputError

# Looked for in turn where no key is named. A virial is minus the stress times the volume, eV.
STRESSES = (keys.REF_STRESS, "stress")
VIRIALS = ("REF_virial", "REF_virials", "virial", "virials")
# A strain of a tenth costs a dense sheet less; larger numbers are in GPa or kbar.
LARGEST_STRESS = 2.0
SMALLEST_VOLUME_A3 = 1e-6


def stress_of(atoms: Atoms, results: dict[str, Any], key: str | None, where: str) -> np.ndarray | None:
    """Stress (6,) of a frame, eV/Angstrom^3, in ASE's order; `results` are those of its calculator. None for none.

    A `key` with `virial` in its name is one. Raises InputError for a named key that is not there.
    """
    known = {**results, **atoms.info}
    if key is not None and key not in known:
        there = [name for name in known if "stress" in name.lower() or "virial" in name.lower()]
        found = f"; there are {', '.join(there)}" if there else "; the file has none that could be it"
        raise InputError(f"{where}: stress_key: {key!r} is not there{found}")
    chosen = key or next((name for name in (*STRESSES, *VIRIALS) if name in known), None)
    if chosen is None:
        return None
    try:
        values = np.asarray(known[chosen], dtype=float)
    except (TypeError, ValueError):
        return _unusable(key, where, chosen, "holds no numbers")
    if values.size == 9:
        whole = values.reshape(3, 3)
        values = full_3x3_to_voigt_6_stress(0.5 * (whole + whole.T))
    if values.shape != (6,):
        return _unusable(key, where, chosen, f"has {values.size} numbers; 6 or 9 are a stress or a virial")
    if "virial" not in chosen.lower():
        return values
    volume = volume_of(atoms)
    if volume < SMALLEST_VOLUME_A3:
        return _unusable(key, where, chosen, "is a virial of a cell without a volume")
    return -values / volume


def _unusable(key: str | None, where: str, chosen: str, reason: str) -> None:
    """None for what was not asked for; InputError for what was."""
    if key is not None:
        raise InputError(f"{where}: stress_key: {chosen!r} {reason}")


def volume_of(atoms: Atoms) -> float:
    """Volume of the cell, vacuum and all, Angstrom^3."""
    return float(abs(np.linalg.det(atoms.cell.array)))


def strain_gradient_of(atoms: Atoms, name: str | None = None) -> np.ndarray | None:
    """dE/d(strain) (3, 3), eV, in the user's axes, of a frame with REF_stress: the stress times the volume. None else.

    The vacuum that the volume counts is gone from it. Raises InputError, which begins with `name` or the structure's
    own, for what cannot be a stress.
    """
    if keys.REF_STRESS not in atoms.info:
        return None
    name = name or atoms.info.get(keys.STRUCTURE_ID, str(atoms.symbols))
    stress = np.asarray(atoms.info[keys.REF_STRESS], dtype=float)
    if stress.shape != (6,) or not np.isfinite(stress).all():
        raise InputError(f"{name}: {keys.REF_STRESS} must be 6 finite numbers, in eV/Angstrom^3")
    if np.abs(stress).max() > LARGEST_STRESS:
        raise InputError(
            f"{name}: a stress of {np.abs(stress).max():.3g}; the unit must be eV/Angstrom^3 (at most"
            f" {LARGEST_STRESS:g}; 1 GPa is 0.00624)"
        )
    volume = volume_of(atoms)
    if volume < SMALLEST_VOLUME_A3:
        raise InputError(
            f"{name}: {keys.REF_STRESS} of a cell without a volume; give the cell a vector across the sheet"
        )
    return volume * voigt_6_to_full_3x3_stress(stress)
