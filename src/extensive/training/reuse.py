"""Weights that are there of the same training, in place of training again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.io import atomic_path, digest, read_json

# What the metadata of weights say their training was.
TRAINING_DIGEST = "digest_of_settings_and_data"


def training_digest(settings: dict[str, Any], data: dict[str, Any]) -> str:
    """Digest of what a training is asked for: network, settings, structures and labels, first weights; not the code."""
    return digest({"settings": settings, "data": data})


def structures_digest(structures: Sequence[Atoms], with_forces: bool, with_stress: bool) -> str:
    """Digest of all of structures and of their labels (REF_energy: that of the target) that a training depends on."""
    return digest([_contents(atoms, with_forces, with_stress) for atoms in structures])


def _contents(atoms: Atoms, with_forces: bool, with_stress: bool) -> list[Any]:
    """All of a structure that a training depends on.

    A teacher's label is named by the teacher: its weights decide the label, whose last digits differ between machines.
    """
    name, numbers = atoms.info[keys.STRUCTURE_ID], atoms.numbers.tolist()
    places = [atoms.cell.array.round(6).tolist(), atoms.positions.round(6).tolist()]
    if keys.TEACHER in atoms.info:
        return [name, numbers, *places, atoms.info[keys.TEACHER]]
    contents = [name, atoms.info[keys.REF_ENERGY], numbers]
    contents += [atoms.info[key] for key in (keys.REF_ISOLATED,) if key in atoms.info] + places
    if with_forces:
        contents.append(atoms.arrays[keys.REF_FORCES].round(6).tolist())
    if with_stress and keys.REF_STRESS in atoms.info:
        contents.append(np.round(atoms.info[keys.REF_STRESS], 9).tolist())
    return contents


def is_trained(path: str | Path, wanted: str, without_validation: tuple[str, int]) -> bool:
    """Whether `path` (without its suffix) has the weights, description and curve of the training `wanted`.

    Digests of older weights are `without_validation`, whose structures are then told by their number alone.
    """
    if not all(Path(file).is_file() for file in _files(path)):
        return False
    metadata = read_json(f"{path}.json").get("metadata") or {}
    found = metadata.get(TRAINING_DIGEST)
    return found == wanted or (found, metadata.get("n_validation")) == without_validation


def copy_trained(trained: str | Path, path: str | Path, curve: str | Path) -> None:
    """Copy what `is_trained` to `path` (without its suffix) and `curve`."""
    for source, target in zip(_files(trained), (f"{path}.pt", f"{path}.json", curve), strict=True):
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def _files(path: str | Path) -> tuple[str, str, str]:
    return f"{path}.pt", f"{path}.json", f"{path}-curve.csv"
