"""Who may be learned from: every structure belongs to exactly one set, and the sets stay apart.

Structures of a `development` data set are divided between train, validation and test; all other data sets belong to
one set as a whole, which their configuration names. Nothing is chosen by looking at a test set: checkpoints and
hyperparameters are chosen on `validation`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError

DEVELOPMENT = "development"
# Sets that a data set may be of for a training to be given it; all others are for tests alone.
LEARNED = (DEVELOPMENT, keys.TRAIN, keys.VALIDATION)
# Steps that geometries are compared in: of an Angstrom of the cell, and of a period of the places in it.
STEPS = 100_000
# Two sets that frames of one development trajectory are on either side of: the papers' correlated test.
CORRELATED = ({keys.TRAIN, keys.TEST}, {keys.TRAIN, keys.TEACHER_TEST})


def assign_sets(
    structures: Iterable[Atoms],
    set_of_dataset: Mapping[str, str],
    seed: int,
    block: int = 10,
    md_test_every: int = 4,
) -> dict[str, list[str]]:
    """Divide structures among the sets of `keys.SETS`; returns {set: [structure_id, ...]}.

    In every run of `block` consecutive indices of a development data set, one structure (drawn by a hash of
    seed, data set and block) is test and another is validation: random, spread evenly over the data sets, and
    unchanged for every structure already there when the archive grows. A copy of a sheet, as a restarted run of
    dynamics leaves, goes where the first is. Pristine sheets are always trained on.
    Frames of a development trajectory go alternately to train and (every `md_test_every`-th) to test, never
    to validation: that is the correlated test of the papers. All other data sets go to the set that they name as a
    whole, which may be one of these three.

    Raises InputError for a data set without a set, or a set that does not exist.
    """
    if block < 3:
        raise InputError(f"training.splits.block: {block}; a block needs 3 or more structures, one of each kind")
    if md_test_every < 2:
        raise InputError(f"training.splits.md_test_every: {md_test_every}; must be 2 or more")
    sets: dict[str, list[str]] = {name: [] for name in keys.SETS}
    trajectories: dict[str, list[str]] = defaultdict(list)
    homes: dict[bytes, str] = {}  # set of each geometry that was met
    for atoms in structures:
        name, dataset = atoms.info[keys.STRUCTURE_ID], atoms.info[keys.DATASET]
        belongs = set_of_dataset.get(dataset)
        if belongs is None:
            raise InputError(f"{name}: data set '{dataset}' is not in structures.datasets, so it has no set")
        if belongs != DEVELOPMENT:
            if belongs not in sets:
                choices = ", ".join([DEVELOPMENT, *keys.SETS])
                raise InputError(f"structures.datasets.{dataset}.set: '{belongs}' is not one of {choices}")
            sets[belongs].append(name)
        elif atoms.info[keys.SAMPLER] == "md":
            trajectories[atoms.info[keys.PARENT]].append(name)
        elif atoms.info[keys.SAMPLER] == "pristine":
            sets[keys.TRAIN].append(name)
        else:
            found = _geometries(atoms) if len(atoms) else []  # images have none
            part = next((homes[each] for each in found if each in homes), None)
            part = part or _development_set(name, dataset, seed, block)
            homes.update(dict.fromkeys(found, part))
            sets[part].append(name)
    for frames in trajectories.values():
        for index, name in enumerate(sorted(frames)):
            sets[keys.TEST if index % md_test_every == md_test_every - 1 else keys.TRAIN].append(name)
    return {name: sorted(members) for name, members in sets.items()}


def assign_taught(
    splits: Mapping[str, list[str]], taught: Iterable[Atoms], set_of_dataset: Mapping[str, str], seed: int, **rule: int
) -> dict[str, list[str]]:
    """`splits` of structures that DFT labelled, with those that a teacher did added: what a student meets.

    What these hold back is tested against the teacher, so it makes up sets of its own. Raises InputError for a set that
    such labels cannot be of.
    """
    found = assign_sets(taught, set_of_dataset, seed, **rule)
    own = {
        keys.TRAIN: found.pop(keys.TRAIN),
        keys.VALIDATION: found.pop(keys.VALIDATION),
        keys.TEACHER_TEST: found.pop(keys.TEST),
        keys.TEACHER_INDEPENDENT_MD: found.pop(keys.INDEPENDENT_MD),
    }
    for name, members in found.items():
        if members:
            raise InputError(f"{members[0]}: labelled by a teacher, so it cannot be of the set '{name}'")
    return {name: sorted([*members, *own.get(name, ())]) for name, members in splits.items()}


def _development_set(name: str, dataset: str, seed: int, block: int) -> str:
    digits = name.rsplit("-", 1)[-1]
    if not digits.isdigit():
        raise InputError(f"structure_id '{name}': expected '<dataset>-<index>'")
    group, place = divmod(int(digits), block)
    key = hashlib.sha256(f"{seed}:{dataset}:{group}".encode()).digest()
    test, validation = np.random.default_rng(list(key)).permutation(block)[:2]
    return keys.TEST if place == test else keys.VALIDATION if place == validation else keys.TRAIN


def learns_from(dataset: str, exclude: Iterable[str], only: Iterable[str] = ()) -> bool:
    """Whether a network is to learn from a data set: one of `only`, if there are any, and none of `exclude`.

    Both are names or patterns.
    """
    wanted = list(only)
    if wanted and not any(fnmatchcase(dataset, pattern) for pattern in wanted):
        return False
    return not any(fnmatchcase(dataset, pattern) for pattern in exclude)


def times_of(dataset: str, oversample: Mapping[str, int]) -> int:
    """How many times in an epoch a structure of a data set comes: what the first pattern that it fits says, else 1."""
    return next((times for pattern, times in oversample.items() if fnmatchcase(dataset, pattern)), 1)


def check_patterns(model: str, training: Mapping[str, Any], set_of_dataset: Mapping[str, str]) -> None:
    """Raise InputError for a pattern of the model's `training` that fits no data set, or one that is for tests.

    What is tested on has no part in how a network is trained: not even that it is left out.
    """
    for key in ("only", "exclude", "oversample"):
        for pattern in training[key]:
            found = [name for name in set_of_dataset if fnmatchcase(name, pattern)]
            where = f"models.{model}.training.{key}: {pattern!r}"
            if not found:
                raise InputError(f"{where} is none of structures.datasets")
            for name in found:
                if set_of_dataset[name] not in LEARNED:
                    raise InputError(
                        f"{where} names {name}, whose set is {set_of_dataset[name]}; a training may not know what it is"
                        " tested on"
                    )


def parent_of(atoms: Atoms) -> str:
    """What must stay on one side: the trajectory of an MD frame; a rattled structure stands for itself."""
    return atoms.info[keys.PARENT] if atoms.info[keys.SAMPLER] == "md" else atoms.info[keys.STRUCTURE_ID]


def check_honest(splits: Mapping[str, list[str]], structures: Iterable[Atoms]) -> None:
    """Raise InputError unless every structure is in one set, once, and no set has seen another.

    No parent is on two sides, except frames of one development trajectory in train and test (the correlated
    test); no two sets hold the same geometry under different names, in another order of its atoms, or with atoms moved
    by whole periods.
    """
    by_id = {atoms.info[keys.STRUCTURE_ID]: atoms for atoms in structures}
    home: dict[str, str] = {}
    for name, members in splits.items():
        for member in members:
            if member in home:
                raise InputError(f"{member}: in the sets '{home[member]}' and '{name}'; a structure belongs to one")
            if member not in by_id:
                raise InputError(f"{member}: in the set '{name}' but not among the labelled structures")
            home[member] = name
    sides: dict[str, dict[str, str]] = defaultdict(dict)
    geometries: dict[str, dict[str, str]] = defaultdict(dict)
    for member, name in home.items():
        atoms = by_id[member]
        sides[parent_of(atoms)].setdefault(name, member)
        for geometry in _geometries(atoms):
            geometries[geometry].setdefault(name, member)
    for parent, where in sides.items():
        if len(where) > 1 and set(where) not in CORRELATED:
            raise InputError(f"parent '{parent}' is on several sides: {_places(where)}")
        if len(where) > 1 and any(by_id[member].info[keys.SAMPLER] != "md" for member in where.values()):
            raise InputError(f"parent '{parent}' is in train and test but is no trajectory: {_places(where)}")
    for where in geometries.values():
        if len(where) > 1:
            raise InputError(f"the same geometry is in several sets: {_places(where)}")


def _places(where: Mapping[str, str]) -> str:
    return ", ".join(f"{member} in '{name}'" for name, member in sorted(where.items()))


def _geometries(atoms: Atoms) -> list[bytes]:
    """Digests of the cell (to 1e-5 Angstrom) and of which element is where in it (to 1e-5 of its periods).

    Neither the order of the atoms nor whole periods matter. There are two roundings, half a step apart: where the last
    digits of a file put an atom on another side of an edge of one, the other agrees.
    """
    places = np.linalg.solve(atoms.cell.complete().T, atoms.positions.T)  # (3, A)
    digests = []
    for offset in (0.25, 0.75):
        cell = np.floor(atoms.cell.array * STEPS + offset).astype(np.int64)
        rounded = np.floor(places * STEPS + offset).astype(np.int64) % STEPS
        columns = np.array([*rounded, atoms.numbers])
        columns = columns[:, np.lexsort(columns)]
        digests.append(hashlib.sha256(cell.tobytes() + columns.tobytes()).digest())
    return digests
