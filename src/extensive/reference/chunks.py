"""A chunk of structures, labelled from the archive where it can be and by GPAW where not, killable at any moment."""

import csv
import os
from pathlib import Path
from typing import Any

from ase import Atoms
from tqdm import tqdm

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path, read_structures, write_structures
from extensive.reference.archive import Archive, adopt, candidate_digests, read_labels
from extensive.reference.calculation import LabelFailed, Labeller
from extensive.reference.dynamics import Dynamics, run_trajectory, trajectory_digest
from extensive.reference.parallel import ParallelLabeller
from extensive.reference.sampling import determining
from extensive.reference.settings import DFTSettings, gpaw_version, label_digest

FAILURE_COLUMNS = ("structure_id", "dataset", "family", "n_atoms", "digest", "reason")


def chunk_count(spec: dict[str, Any], chunk_size: int) -> int:
    """Number of chunks of a data set: one per trajectory, else one per `chunk_size` structures."""
    return spec["count"] if spec["sampler"] == "md" else -(-spec["count"] // chunk_size)


def chunk_members(structures: list[Atoms], sampler: str, chunk: int, chunk_size: int) -> list[tuple[int, Atoms]]:
    """Structures of chunk number `chunk` with their index in the data set."""
    size = 1 if sampler == "md" else chunk_size
    return list(enumerate(structures))[chunk * size : (chunk + 1) * size]


class Store:
    """Finished labels of an unfinished job, one file each, named by digest: what a killed job goes on from.

    The digest stands for structure and settings, so that a changed configuration never meets a stale label. The
    archive, if given, is looked up first. `labeller` computes what is not known; None is one serial process. With
    `leave_out` nothing is computed.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        archive: Archive | None,
        settings: DFTSettings,
        accept: list[str],
        labeller: Labeller | ParallelLabeller | None = None,
        leave_out: bool = False,
    ):
        self.folder = Path(folder)
        self.archive = archive
        self.settings = settings
        self.accept = accept
        self.leave_out = leave_out
        self.computed = 0
        if archive:
            archive.refresh()
        self._labeller = labeller

    def digest(self, atoms: Atoms) -> str:
        """Digest of the label that the installed GPAW would give."""
        return label_digest(atoms, determining(atoms, self.settings), gpaw_version())

    def find(self, atoms: Atoms) -> Atoms | None:
        """The label of `atoms` from the archive or from this folder, or None."""
        archived = self.archive.find(atoms, self.settings, self.accept) if self.archive else None
        if archived is not None:
            return archived
        for digest in candidate_digests(atoms, self.settings, self.accept):
            path = self._path(digest)
            if path.is_file():
                return adopt(atoms, read_labels(path)[0])
        return None

    def label(self, atoms: Atoms) -> Atoms:
        """The label of `atoms`, computed and put on disk unless it is known. Raises LabelFailed with the reason."""
        found = self.find(atoms)
        if found is not None:
            return found
        failure = self._path(self.digest(atoms)).with_suffix(f".{self.settings.steering()}.failed")
        if failure.is_file():
            raise LabelFailed(failure.read_text().strip())
        if self._labeller is None:
            self._labeller = Labeller(self.settings)
        try:
            labelled = self._labeller.label(atoms)
        except LabelFailed as error:
            with atomic_path(failure) as temporary:
                temporary.write_text(f"{error}\n")
            raise
        self.computed += 1
        write_structures(self._path(labelled.info[keys.REF_DIGEST]), [labelled])
        return labelled

    def frames(self, start: Atoms, dynamics: Dynamics, index: int, seed: int) -> tuple[list[Atoms], str | None]:
        """All frames of one trajectory, resumed from the last frame known, and the reason if it ended early."""
        names = {
            trajectory_digest(digest, dynamics, index, seed): digest
            for digest in candidate_digests(start, self.settings, self.accept)
        }
        done: list[Atoms] = []
        trajectory = next(iter(names))
        for name in names:
            found = self.archive.trajectory(name)[: dynamics.frames] if self.archive else []
            if len(found) > len(done):
                done, trajectory = found, name
        folder = self.folder / trajectory.replace(":", "-")
        if self.leave_out:
            return done, None
        while len(done) < dynamics.frames and (path := folder / f"{len(done):05d}.extxyz").is_file():
            done += read_labels(path)
        frames = list(done)
        run = run_trajectory(start, dynamics, index, seed, trajectory, done, self.label)
        try:
            for frame in tqdm(run, total=dynamics.frames, initial=len(done), desc=start.info[keys.STRUCTURE_ID]):
                write_structures(folder / f"{len(frames):05d}.extxyz", [frame])
                frames.append(frame)
        except LabelFailed as error:
            return frames, f"trajectory ended at frame {len(frames)}: {error}"
        return frames, None

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest.removeprefix('sha256:')}.extxyz"


def failure_row(atoms: Atoms, digest: str, reason: str) -> dict[str, Any]:
    """One row of a table of failed calculations."""
    return {
        "structure_id": atoms.info[keys.STRUCTURE_ID],
        "dataset": atoms.info[keys.DATASET],
        "family": atoms.info[keys.FAMILY],
        "n_atoms": len(atoms),
        "digest": digest,
        "reason": reason,
    }


def label_chunk(
    members: list[tuple[int, Atoms]],
    store: Store,
    dynamics: Dynamics | None = None,
    seed: int = 0,
    progress: bool = True,
) -> tuple[list[Atoms], list[dict[str, Any]]]:
    """Label (index, structure) pairs in order; with `dynamics` each is the start of a trajectory, else a structure.

    Gives the labelled structures and one row (FAILURE_COLUMNS) for each calculation that failed; a failure never ends
    the chunk. Structures that the store leaves out are in neither.
    """
    labelled, failures = [], []
    for index, atoms in tqdm(members, desc="labels", disable=dynamics is not None or not progress):
        try:
            if dynamics is None:
                found = store.find(atoms) if store.leave_out else store.label(atoms)
                labelled += [] if found is None else [found]
                continue
            frames, reason = store.frames(atoms, dynamics, index, seed)
            labelled += frames
        except LabelFailed as error:
            reason = str(error)
        if reason is not None:
            failures.append(failure_row(atoms, store.digest(atoms), reason))
    return labelled, failures


def write_failures(path: str | os.PathLike, rows: list[dict[str, Any]]) -> None:
    """Write the table of failed calculations, atomically; no rows give the header alone."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FAILURE_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_failures(path: str | os.PathLike) -> list[dict[str, str]]:
    """Rows of a table of failed calculations; none where there is no file."""
    if not Path(path).is_file():
        return []
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def gather(
    chunks: list[str],
    failures: list[str],
    output: str,
    failed_output: str,
    expected: int,
    may_fail: int = 0,
    leave_out: bool = False,
) -> None:
    """Join the chunks of a data set and their failures.

    InputError if structures are missing without a reason, or more than `may_fail` with one. With `leave_out` those that
    the archive lacks, or a teacher does not know, may be missing.
    """
    labelled = [atoms for path in chunks for atoms in read_structures(path)]
    rows = [row for path in failures for row in read_failures(path)]
    ids = [atoms.info[keys.STRUCTURE_ID] for atoms in labelled]
    if len(set(ids)) != len(ids):
        raise InputError(f"{output}: structure ids occur twice among its chunks")
    if leave_out:
        print(f"{len(labelled)} of {expected} structures have labels; the others are left out")
    elif len(labelled) < expected and not rows:
        raise InputError(f"{output}: {len(labelled)} labels where {expected} were expected, and no failure says why")
    if len(rows) > may_fail:
        raise InputError(
            f"{output}: {len(rows)} calculations failed, the first is {rows[0]['structure_id']} ({rows[0]['reason']}); "
            f"reference.labels.may_fail allows {may_fail} in a data set"
        )
    write_structures(output, labelled)
    write_failures(failed_output, rows)
