"""The archive of labels: one gzipped extended XYZ file per data set, looked up by digest, verified on reading."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.reference.record import label_checksum, record_of
from extensive.reference.sampling import determining
from extensive.reference.settings import LENGTH_STEP_A, DFTSettings, gpaw_version, label_digest, version_key

SUFFIX = ".extxyz.gz"
# Structures whose coordinates differ by less are the same but for rounding: energies change by some 1e-6 eV.
SAME_A = 2.5 * LENGTH_STEP_A


def read_labels(path: str | os.PathLike) -> list[Atoms]:
    """All labels of one archive file, each held to its digest and checksum.

    Raises InputError, naming the file, if it is truncated, corrupted, edited or of another origin; then no label of it
    is returned.
    """
    labels = read_structures(path)
    if not labels:
        raise InputError(f"{path}: holds no labels; not a file of this archive")
    for index, labelled in enumerate(labels):
        name = labelled.info.get(keys.STRUCTURE_ID, f"frame {index}")
        missing = [
            key
            for key in (keys.STRUCTURE_ID, keys.REF_ENERGY, keys.REF_COMPONENTS, keys.REF_RECORD, keys.REF_DIGEST)
            if key not in labelled.info
        ]
        if keys.REF_FORCES not in labelled.arrays:
            missing.append(keys.REF_FORCES)
        if missing:
            raise InputError(f"{path}: {name} lacks {missing[0]}; not a file of this archive")
        try:
            record = record_of(labelled)
            expected = label_digest(labelled, record["settings"], record["versions"]["gpaw"])
            checksum = record["checksum"]
        except (InputError, KeyError, TypeError):
            raise InputError(
                f"{path}: {name} has an unreadable {keys.REF_RECORD}; not a file of this archive"
            ) from None
        if labelled.info[keys.REF_DIGEST] != expected:
            raise InputError(f"{path}: {name} does not match its digest; the structure was changed after labelling")
        if label_checksum(labelled) != checksum:
            raise InputError(f"{path}: {name} does not match its checksum; its energy or forces were changed")
    return labels


class Archive:
    """Labels of a folder's files, all or those of some data sets, by digest. Files are re-read when they change."""

    def __init__(self, folder: str | os.PathLike, datasets: Iterable[str] | None = None) -> None:
        self.folder = Path(folder)
        self._chosen = None if datasets is None else {self.folder / f"{name}{SUFFIX}" for name in datasets}
        self._read: dict[Path, tuple[tuple[int, int], list[Atoms]]] = {}
        self._digests: dict[str, Atoms] = {}
        self._names: dict[str, list[Atoms]] = {}

    def refresh(self) -> None:
        """Read what is new or changed; InputError for a file that is refused."""
        found = sorted(self.folder.glob(f"[!.]*{SUFFIX}")) if self.folder.is_dir() else []
        found = [path for path in found if self._chosen is None or path in self._chosen]
        for path in [*self._read]:
            if path not in found:
                del self._read[path]
        for path in found:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if path not in self._read or self._read[path][0] != stamp:
                self._read[path] = (stamp, read_labels(path))
        self._digests, self._names = {}, {}
        for label in (label for _, labels in self._read.values() for label in labels):
            self._digests[label.info[keys.REF_DIGEST]] = label
            self._names.setdefault(label.info[keys.STRUCTURE_ID], []).append(label)

    def dataset(self, name: str) -> list[Atoms]:
        """Labels in the file of data set `name`, as last read."""
        entry = self._read.get(self.folder / f"{name}{SUFFIX}")
        return entry[1] if entry else []

    def datasets(self) -> list[str]:
        """Names of the data sets that have a file."""
        return [path.name.removesuffix(SUFFIX) for path in self._read]

    def by_digest(self) -> dict[str, Atoms]:
        """Every label by its digest."""
        return self._digests

    def find(self, atoms: Atoms, settings: DFTSettings, accept: list[str]) -> Atoms | None:
        """The label of `atoms`, whatever the structure is called; or that of its `twin` of the same name, or None."""
        for digest in candidate_digests(atoms, settings, accept):
            if digest in self._digests:
                return adopt(atoms, self._digests[digest])
        return self.twin(atoms, settings, accept)

    def twin(self, atoms: Atoms, settings: DFTSettings, accept: list[str]) -> Atoms | None:
        """The label of the same name whose structure is `atoms` but for rounding, with its own positions; or None."""
        return twin(atoms, self._names.get(atoms.info.get(keys.STRUCTURE_ID, ""), []), settings, accept)

    def trajectory(self, trajectory: str) -> list[Atoms]:
        """Frames of one trajectory, by its digest, in the order of time from the first on without a gap."""
        frames = {}
        for _, labels in self._read.values():
            for labelled in labels:
                if labelled.info.get("MD_trajectory") == trajectory:
                    frames[int(labelled.info["MD_step"])] = labelled
        ordered = []
        for step in sorted(frames):
            if int(frames[step].info["MD_frame"]) != len(ordered):
                break
            ordered.append(frames[step])
        return ordered


def candidate_digests(atoms: Atoms, settings: DFTSettings, accept: list[str]) -> list[str]:
    """Digests under which a label of `atoms` may be archived: the installed GPAW's first, then accepted versions'."""
    physical = determining(atoms, settings)
    found = [label_digest(atoms, physical, version) for version in [*_installed(), *accept]]
    return list(dict.fromkeys(found))


def twin(atoms: Atoms, archived: list[Atoms], settings: DFTSettings, accept: list[str]) -> Atoms | None:
    """The label of `archived` whose structure is `atoms` but for rounding, None if there is none.

    A relaxed structure, such as a Stone-Wales defect, comes out some 1e-9 Angstrom different on another machine or with
    another number of threads. Now and then that is another last digit, and another digest; it is no other structure.
    """
    physical, versions = determining(atoms, settings), {version_key(version) for version in [*_installed(), *accept]}
    for label in archived:
        record = record_of(label)
        if record["settings"] != physical or version_key(record["versions"]["gpaw"]) not in versions:
            continue
        if atoms.numbers.tolist() != label.numbers.tolist() or atoms.pbc.tolist() != label.pbc.tolist():
            continue
        apart = np.abs(atoms.positions - label.positions)[:, :2].max()
        stretched = np.abs(atoms.cell.array - label.cell.array)[:2].max()
        if max(apart, stretched, np.abs(np.ptp(atoms.positions[:, 2]) - np.ptp(label.positions[:, 2]))) < SAME_A:
            return label
    return None


def _installed() -> list[str]:
    try:
        return [gpaw_version()]
    except InputError:  # an archive can be read where GPAW is not
        return []


def adopt(atoms: Atoms, archived: Atoms) -> Atoms:
    """A copy of `atoms`, with its own ids, that carries the label of the identical `archived` structure."""
    labelled = atoms.copy()
    for key in (keys.REF_ENERGY, keys.REF_COMPONENTS, keys.REF_RECORD, keys.REF_DIGEST):
        labelled.info[key] = archived.info[key]
    labelled.arrays[keys.REF_FORCES] = archived.arrays[keys.REF_FORCES].copy()
    return labelled


@contextlib.contextmanager
def locked(path: str | os.PathLike, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path`; yields False at once when `wait` is off and another process holds it.

    The lock dies with its process, so a killed one never blocks the next.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def add_labels(folder: str | os.PathLike, dataset: str, labels: list[Atoms], lock_folder: str | os.PathLike) -> None:
    """Add labels to the file of `dataset`, atomically and under a lock; equal digests are replaced."""
    path = Path(folder) / f"{dataset}{SUFFIX}"
    with locked(Path(lock_folder) / f"{dataset}.lock"):
        known: dict[str, Any] = {}
        if path.is_file():
            known = {labelled.info[keys.REF_DIGEST]: labelled for labelled in read_labels(path)}
        known.update({labelled.info[keys.REF_DIGEST]: labelled for labelled in labels})
        write_structures(path, sorted(known.values(), key=lambda atoms: atoms.info[keys.STRUCTURE_ID]))
