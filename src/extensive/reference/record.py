"""A label on its structure: energy, forces and components, with the record of how they were found and a checksum."""

import json
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import digest
from extensive.reference.settings import gpaw_version, label_digest

# Decimals kept of labels; far below the error of any setting, and written to file exactly.
ENERGY_DECIMALS = 8
FORCE_DECIMALS = 6


def versions() -> dict[str, str]:
    """Versions that a label depends on."""
    import importlib.metadata
    import platform

    from gpaw import cgpaw

    libxc = "builtin"
    if hasattr(cgpaw, "lxcXCFunctional"):
        libxc = str(getattr(cgpaw, "libxc_version", "linked"))
    found = {"gpaw": gpaw_version(), "libxc": libxc, "python": platform.python_version()}
    for package in ("gpaw-data", "ase", "numpy", "scipy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def with_label(
    atoms: Atoms,
    energy_eV: float,
    forces_eV_per_A: np.ndarray,
    components_eV: dict[str, float],
    record: dict[str, Any],
) -> Atoms:
    """A copy of `atoms` with its label, the label's digest and the checksum of energy and forces."""
    labelled = atoms.copy()
    labelled.calc = None
    labelled.info[keys.REF_ENERGY] = round(float(energy_eV), ENERGY_DECIMALS)
    # Adding zero turns -0.0 into 0.0, which would be another text in the file.
    labelled.arrays[keys.REF_FORCES] = np.round(np.asarray(forces_eV_per_A, dtype=float), FORCE_DECIMALS) + 0.0
    components = {name: round(value, ENERGY_DECIMALS) for name, value in components_eV.items()}
    labelled.info[keys.REF_COMPONENTS] = json.dumps(components)
    record = {**record, "checksum": label_checksum(labelled)}
    labelled.info[keys.REF_RECORD] = json.dumps(record)
    labelled.info[keys.REF_DIGEST] = label_digest(atoms, record["settings"], record["versions"]["gpaw"])
    return labelled


def label_checksum(labelled: Atoms) -> str:
    """Checksum of a label's energy and forces, so that a file edited by hand is noticed."""
    return digest(
        {
            "energy": round(float(labelled.info[keys.REF_ENERGY]) * 10**6),
            "forces": np.rint(labelled.arrays[keys.REF_FORCES] * 10**FORCE_DECIMALS).astype(int).tolist(),
        }
    )[:16]


def record_of(labelled: Atoms) -> dict[str, Any]:
    """The SCF record of a labelled structure; InputError when there is none."""
    try:
        return json.loads(labelled.info[keys.REF_RECORD])
    except (KeyError, TypeError, ValueError):
        name = labelled.info.get(keys.STRUCTURE_ID, "structure")
        raise InputError(f"{name}: no readable {keys.REF_RECORD}; expected a labelled structure") from None
