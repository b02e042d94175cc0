"""Users' own structures: any format that ASE reads, labels by any code, named as the stages name them."""

import glob
import json
import re
from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.structures.labels import (
    DEFAULT_KEYS,
    REFERENCE,
    LabelKeys,
    add_free_atoms,
    check_labels,
    say_which_energy,
    with_labels,
)
from extensive.structures.reading import EXTENDED_XYZ, is_isolated, read_any, without_isolated

FAMILY = "own"


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
        atoms = atoms.copy()
        atoms.calc = None
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


def dataset_names(files: Sequence[str | Path]) -> list[str]:
    """A name for each file as a data set: its own, with its folder's before it where two files have one name."""
    paths = [Path(file).expanduser().absolute() for file in files]
    names = [_as_name(path.name.split(".")[0]) for path in paths]
    if len(set(paths)) < len(paths):
        raise InputError(f"{[str(file) for file in files]}: one file twice")
    for parts in range(1, max((len(path.parts) for path in paths), default=1)):
        twice = {name for name in names if names.count(name) > 1}
        if not twice:
            return names
        names = [
            _as_name("-".join((*path.parent.parts[-parts:], path.name.split(".")[0]))) if name in twice else name
            for path, name in zip(paths, names, strict=True)
        ]
    if len(set(names)) < len(names):
        raise InputError(f"{[str(file) for file in files]}: names that differ in letters and digits are needed")
    return names


def _as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "file"


def files_of(patterns: str | Sequence[str], folder: str | Path | None = None) -> list[str]:
    """Files that are named or that patterns match, sorted; `~` is the user's home.

    What is not found from the working directory is looked for from `folder`, that of the configuration. InputError for
    what is nowhere says where it was looked for.
    """
    found = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        places = [Path(pattern).expanduser()]
        if folder is not None and not places[0].is_absolute():
            places.append(Path(folder) / places[0])
        # A name with brackets is a file before it is a pattern.
        matches = next((m for place in places if (m := [str(place)] if place.is_file() else _matches(place))), None)
        if matches is None:
            looked = f"; looked in {' and '.join(str(place.parent) for place in places)}" if len(places) > 1 else ""
            raise InputError(f"{pattern}: no such file{looked}")
        found += matches
    return list(dict.fromkeys(found))


def _matches(place: Path) -> list[str]:
    return sorted(glob.glob(str(place)))


def read_labelled(
    files: Sequence[str | Path],
    dataset: str,
    with_forces: bool = False,
    family: str | None = None,
    sampler: str | None = None,
    named: LabelKeys = DEFAULT_KEYS,
) -> list[Atoms]:
    """All structures of labelled files in order, named for the data set and checked.

    With sampler 'md' each file is one trajectory. `named` says under which keys their labels are. Isolated atoms are
    left out with a line; where `named` wants their energies, structures carry them as REF_isolated. Raises InputError
    naming the file or the structure.
    """
    structures: list[Atoms] = []
    free: dict[str, float] = {}
    for path in files:
        read = read_any(path)
        wanted = named.isolated_atoms == REFERENCE
        if wanted:
            add_free_atoms(free, [atoms for atoms in read if is_isolated(atoms)], named, path)
        found = without_isolated(read, path, wanted)
        say_which_energy(found, named, path)
        labelled = [with_labels(atoms, named, f"{path}, frame {index}") for index, atoms in enumerate(found, start=1)]
        structures += name_structures(labelled, dataset, family, sampler, first=len(structures))
    for atoms in structures if free else ():
        atoms.info[keys.REF_ISOLATED] = json.dumps(free)
    try:
        check_labels(structures, with_forces)
    except InputError as error:
        raise InputError(f"{', '.join(map(str, files))}: {error}") from None
    return structures
