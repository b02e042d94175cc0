"""A chunk of structures, or a trajectory, labelled by a teacher: finished labels are on disk, and a killed job goes on.

A trajectory follows the teacher's first network; the frames that are stored are labelled by all. A batch
of labels is one file, named by what it depends on, so that a changed teacher or configuration meets no stale label.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from ase import Atoms
from tqdm import tqdm

from extensive import keys
from extensive.errors import InputError
from extensive.io import digest, read_structures, write_structures
from extensive.reference.dynamics import Dynamics, run_trajectory, trajectory_digest
from extensive.teaching.teacher import Teacher

# Labels that are computed, and stored, together.
BATCH = 50
# Share of a chunk's structures that may lie outside what the teacher was trained on.
LARGEST_SHARE_OUTSIDE = 0.5


def teach_chunk(
    members: list[tuple[int, Atoms]],
    teacher: Teacher,
    folder: str | Path,
    dynamics: Dynamics | None = None,
    seed: int = 0,
    batch: int = BATCH,
) -> list[Atoms]:
    """Labels of (index, structure) pairs; with `dynamics` each is the start of a trajectory, of which all frames are.

    `folder` keeps what is finished. Structures outside what a network was trained on are left out, with a line that
    counts them. Raises InputError where they are more than half, and for a frame outside.
    """
    if dynamics is not None:
        return [
            frame
            for index, start in members
            for frame in _trajectory(start, dynamics, index, seed, teacher, Path(folder), batch)
        ]
    structures = _inside(teacher, [atoms for _, atoms in members])
    name = digest([teacher.digest, [_contents(atoms) for atoms in structures]])
    labelled = _stored(Path(folder) / name)
    for part in _batches(structures[len(labelled) :], batch):
        found = teacher.label(part)
        write_structures(Path(folder) / name / f"{len(labelled):06d}.extxyz", found)
        labelled += found
    return labelled


def _inside(teacher: Teacher, structures: list[Atoms]) -> list[Atoms]:
    """Those that the teacher knows; the edges of what it learned cut some off, and a mistake would cut off most."""
    refusals = [teacher.refusal(atoms) for atoms in structures]
    reasons = [reason for reason in refusals if reason is not None]
    if len(reasons) > LARGEST_SHARE_OUTSIDE * len(structures):
        raise InputError(f"{len(reasons)} of {len(structures)} sheets are outside what the teacher knows: {reasons[0]}")
    if reasons:
        print(f"left out, since the teacher does not know them: {len(reasons)} of {len(structures)} ({reasons[0]})")
    return [atoms for atoms, reason in zip(structures, refusals, strict=True) if reason is None]


def _trajectory(
    start: Atoms, dynamics: Dynamics, index: int, seed: int, teacher: Teacher, folder: Path, batch: int
) -> list[Atoms]:
    trajectory = trajectory_digest(digest([teacher.digest, _contents(start)]), dynamics, index, seed)
    place = folder / trajectory.replace(":", "-")
    done = _stored(place)[: dynamics.frames]
    # The run goes on with the forces that it follows, not with the mean that is stored.
    known = [*done[:-1], teacher.drive(done[-1])] if done else []
    run = run_trajectory(start, dynamics, index, seed, trajectory, known, teacher.drive)
    bar = tqdm(run, total=dynamics.frames, initial=len(done), desc=start.info[keys.STRUCTURE_ID], mininterval=5.0)
    for part in _batches(bar, batch):
        found = teacher.label(part)
        write_structures(place / f"{len(done):06d}.extxyz", found)
        done += found
    return done


def _batches(structures: Iterable[Atoms], size: int) -> Iterator[list[Atoms]]:
    run = iter(structures)
    while part := list(itertools.islice(run, size)):
        yield part


def _stored(folder: Path) -> list[Atoms]:
    """Labels of the batches that follow each other without a gap from the first on."""
    labels: list[Atoms] = []
    while (path := folder / f"{len(labels):06d}.extxyz").is_file():
        labels += read_structures(path)
    return labels


def _contents(atoms: Atoms) -> list:
    return [atoms.info[keys.STRUCTURE_ID], atoms.numbers.tolist(), atoms.cell.array.tolist(), atoms.positions.tolist()]
