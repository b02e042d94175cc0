"""Parts of the energy as targets of their own: each is as extensive as their sum."""

import json
from collections.abc import Sequence

from ase import Atoms

from extensive import keys
from extensive.errors import InputError

# GPAW's terms that make up each part; the small rest is the electronic entropy and its extrapolation.
PARTS = {
    "kinetic": ("kinetic",),
    "electrostatic": ("coulomb", "zero", "external"),
    "exchange-correlation": ("xc",),
}
ENERGY = "energy"


def with_target(structures: Sequence[Atoms], target: str) -> list[Atoms]:
    """Copies whose REF_energy (eV) is the part `target` of the energy, without forces; as they are for 'energy'.

    Raises InputError for a structure without components, and for a part that is not one of PARTS.
    """
    if target == ENERGY:
        return list(structures)
    if target not in PARTS:
        raise InputError(f"training.target: {target!r}; it must be one of {[ENERGY, *PARTS]}")
    found = []
    for atoms in structures:
        if keys.REF_COMPONENTS not in atoms.info:
            name = atoms.info.get(keys.STRUCTURE_ID, atoms.symbols)
            raise InputError(f"{name}: no {keys.REF_COMPONENTS}; its label does not say what the energy is made of")
        stored = atoms.info[keys.REF_COMPONENTS]
        parts = json.loads(stored) if isinstance(stored, str) else stored
        copied = atoms.copy()
        copied.info[keys.REF_ENERGY] = sum(parts[term] for term in PARTS[target])
        copied.arrays.pop(keys.REF_FORCES, None)
        copied.info.pop(keys.REF_ISOLATED, None)  # of the whole energy
        found.append(copied)
    return found
