"""The audit: a few archived labels are computed again on the spot, so that the archive need not be believed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import digest
from extensive.reference.archive import Archive
from extensive.reference.record import record_of
from extensive.reference.sampling import determining
from extensive.reference.settings import DFTSettings

AUDIT_COLUMNS = (
    "structure_id",
    "dataset",
    "n_atoms",
    "energy_archived_eV",
    "energy_recomputed_eV",
    "difference_meV_per_atom",
    "largest_force_difference_meV_per_A",
    "own_sums",
)


def draw(archive: Archive, settings: DFTSettings, count: int, largest_atoms: int, seed: int) -> list[Atoms]:
    """`count` labels of these settings, of at most `largest_atoms` atoms, each from another data set while there are.

    The draw depends on the seed and on each label's own id alone: an archive that grows keeps most of its draw.
    """
    ranked: list[tuple[int, str, Atoms]] = []
    for dataset in archive.datasets():
        fitting = [
            atoms
            for atoms in archive.dataset(dataset)
            if len(atoms) <= largest_atoms and record_of(atoms)["settings"] == determining(atoms, settings)
        ]
        names = sorted((digest([seed, atoms.info[keys.STRUCTURE_ID]]), i) for i, atoms in enumerate(fitting))
        ranked += [(place, name, fitting[i]) for place, (name, i) in enumerate(names)]
    return [atoms for _, _, atoms in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def compare(archived: list[Atoms], label: Callable[[Atoms], Atoms]) -> list[dict[str, Any]]:
    """Compute each archived label again with `label`; one row (AUDIT_COLUMNS) each.

    Own sums are those of GPAW itself, without what this package puts in their place.
    """
    rows = []
    for old in archived:
        bare = old.copy()
        for key in (keys.REF_ENERGY, keys.REF_COMPONENTS, keys.REF_RECORD, keys.REF_DIGEST):
            del bare.info[key]
        del bare.arrays[keys.REF_FORCES]
        new = label(bare)
        energies = old.info[keys.REF_ENERGY], new.info[keys.REF_ENERGY]
        forces = np.abs(new.arrays[keys.REF_FORCES] - old.arrays[keys.REF_FORCES]).max()
        rows.append(
            {
                "structure_id": old.info[keys.STRUCTURE_ID],
                "dataset": old.info[keys.DATASET],
                "n_atoms": len(old),
                "energy_archived_eV": energies[0],
                "energy_recomputed_eV": energies[1],
                "difference_meV_per_atom": (energies[1] - energies[0]) / len(old) * keys.MEV_PER_EV,
                "largest_force_difference_meV_per_A": float(forces) * keys.MEV_PER_EV,
                "own_sums": record_of(new).get("arithmetic") == 0,
            }
        )
    return rows


def check(rows: list[dict[str, Any]], tolerance_meV_per_atom: float) -> None:
    """InputError naming the worst label if any differs by more than the tolerance."""
    wrong = [row for row in rows if not abs(row["difference_meV_per_atom"]) <= tolerance_meV_per_atom]
    if wrong:
        worst = max(wrong, key=lambda row: abs(row["difference_meV_per_atom"]))
        raise InputError(
            f"audit: {len(wrong)} of {len(rows)} archived labels differ from what GPAW gives now; worst is "
            f"{worst['structure_id']} by {worst['difference_meV_per_atom']:.3f} meV/atom, "
            f"at most {tolerance_meV_per_atom} is allowed"
        )
