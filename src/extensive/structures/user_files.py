"""Users' own structures: any format that ASE reads, labels by any code, named as the stages name them."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path, read_structures
from extensive.structures.bonds import OVERLAP_A
from extensive.structures.frame import check_no_chain, frame_of

FAMILY = "own"
EXTENDED_XYZ = (".extxyz", ".xyz", ".extxyz.gz", ".xyz.gz")
# No bound atom lies so far from the energy of free atoms; totals in Hartree, kcal/mol or meV are told apart by
# forces only, so this bound is wide.
LARGEST_ENERGY_EV_PER_ATOM = 1e5
LARGEST_FORCE_EV_PER_A = 1e3


def read_any(path: str | Path) -> list[Atoms]:
    """All structures of a file in any format that ASE reads; InputError names the file and the reason."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected structures in a format that ASE reads")
    if path.name.endswith(EXTENDED_XYZ):
        structures = read_structures(path)
    else:
        try:
            structures = ase.io.read(path, index=":")
        except Exception as error:  # ASE raises many kinds for a broken file
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise InputError(f"{path}: not readable as structures ({reason})") from error
    if not structures:
        raise InputError(f"{path}: holds no structures")
    return structures


def write_any(path: str | Path, structures: Sequence[Atoms]) -> None:
    """Write structures, with the results of their calculators, in the format that the name says; atomically."""
    path = Path(path)
    try:
        with atomic_path(path) as temporary:
            form = "extxyz" if path.name.endswith(EXTENDED_XYZ) else None
            ase.io.write(temporary, list(structures), format=form)
    except (ase.io.formats.UnknownFileTypeError, ValueError, KeyError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputError(f"{path}: cannot be written ({reason}); extended XYZ (.extxyz) always can") from error


def name_structures(
    structures: Sequence[Atoms], dataset: str, family: str | None = None, sampler: str | None = None, first: int = 0
) -> list[Atoms]:
    """Copies that carry what every stage asks for: id, data set, family, sampler and parent.

    Ids are always '<dataset>-<index>', counted from `first`. A `family`, `sampler` ('rattle' where nothing says)
    or `parent` that a structure has is kept unless given here; with sampler 'md' given, these structures are the
    frames of one trajectory. A frame that says sampler=md itself must name its parent.
    """
    named = []
    for index, atoms in enumerate(structures, start=first):
        atoms = atoms.copy() if atoms.calc is None else _with_results(atoms)
        identity = f"{dataset}-{index:05d}"
        if family is not None:
            atoms.info[keys.FAMILY] = family
        if sampler is not None:
            atoms.info[keys.SAMPLER] = sampler
            if sampler == "md":
                atoms.info[keys.PARENT] = f"{dataset}-{first:05d}-trajectory"
        drawn = str(atoms.info.get(keys.SAMPLER, "rattle"))
        if drawn not in ("pristine", "rattle", "md"):
            raise InputError(f"{identity}: sampler {drawn!r}; it must be pristine, rattle or md")
        if drawn == "md" and keys.PARENT not in atoms.info:
            raise InputError(f"{identity}: sampler md without 'parent'; name its trajectory, which splits keep whole")
        atoms.info[keys.STRUCTURE_ID], atoms.info[keys.DATASET] = identity, dataset
        atoms.info.setdefault(keys.FAMILY, FAMILY)
        atoms.info.setdefault(keys.PARENT, identity)
        atoms.info[keys.SAMPLER] = drawn
        named.append(atoms)
    return named


def _with_results(atoms: Atoms) -> Atoms:
    """A copy without its calculator: ASE moves `energy` and `forces` of a file into one.

    They are taken as labels where there is no REF_energy: a file of another code's results is a labelled file.
    """
    copy, results = atoms.copy(), atoms.calc.results
    if keys.REF_ENERGY not in copy.info:
        energy = results.get("free_energy", results.get("energy"))
        if energy is not None:
            copy.info[keys.REF_ENERGY] = float(energy)
            if "forces" in results:
                copy.arrays[keys.REF_FORCES] = np.asarray(results["forces"], float)
    return copy


def check_labels(structures: Sequence[Atoms], with_forces: bool) -> None:
    """Raise InputError for a label that is missing, not finite, or in other units than eV and eV/Angstrom."""
    for atoms in structures:
        name = atoms.info[keys.STRUCTURE_ID]
        frame = frame_of(atoms, name)
        check_no_chain(frame, f"structure {name}")
        energy: Any = atoms.info.get(keys.REF_ENERGY)
        if energy is None:
            raise InputError(f"{name}: no {keys.REF_ENERGY} (eV); a labelled file has it in every frame")
        if not isinstance(energy, int | float | np.number) or not np.isfinite(energy):
            raise InputError(f"{name}: {keys.REF_ENERGY} is {energy!r}; it must be a finite number, in eV")
        if abs(energy) / len(atoms) > LARGEST_ENERGY_EV_PER_ATOM:
            raise InputError(f"{name}: {keys.REF_ENERGY} is {energy / len(atoms):.3g} per atom; the unit must be eV")
        forces = atoms.arrays.get(keys.REF_FORCES)
        if forces is None and with_forces:
            raise InputError(
                f"{name}: no {keys.REF_FORCES} (eV/Angstrom); add them or set training.forces_weight: 0 for the models"
            )
        if forces is not None:
            if forces.shape != (len(atoms), 3) or not np.isfinite(forces).all():
                raise InputError(f"{name}: {keys.REF_FORCES} must be {len(atoms)} x 3 finite numbers, in eV/Angstrom")
            if np.abs(forces).max() > LARGEST_FORCE_EV_PER_A:
                raise InputError(
                    f"{name}: a force of {np.abs(forces).max():.3g}; the unit must be eV/Angstrom (at most"
                    f" {LARGEST_FORCE_EV_PER_A:g})"
                )
        closest = float(frame.bonds.nearest.min())
        if closest < OVERLAP_A:
            raise InputError(
                f"{name}: two atoms are {closest:.3f} A apart; atoms overlap, or lengths are not in Angstrom"
            )


def files_of(patterns: str | Sequence[str]) -> list[str]:
    """Files that glob patterns match, sorted; InputError for a pattern that matches none."""
    found = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matches = sorted(glob.glob(pattern))
        if not matches:
            raise InputError(f"{pattern}: no such file")
        found += matches
    return list(dict.fromkeys(found))


def read_labelled(
    files: Sequence[str | Path],
    dataset: str,
    with_forces: bool = False,
    family: str | None = None,
    sampler: str | None = None,
) -> list[Atoms]:
    """All structures of labelled files in order, named for the data set and checked.

    With sampler 'md' each file is one trajectory. Raises InputError naming the file or the structure.
    """
    named: list[Atoms] = []
    for path in files:
        named += name_structures(read_any(path), dataset, family, sampler, first=len(named))
    check_labels(named, with_forces)
    return named
