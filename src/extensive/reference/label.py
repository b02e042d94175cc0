"""`make labels`: grow the archive for as long as the machine is idle, one process a core.

    python -m extensive.reference.label --config config/config.yaml [--hours H] [--status]

Start as many as there are cores. Each takes the next structure, or the next few frames of a trajectory, that no other
is working on, and puts every label into the archive before it starts the next. Stop with SIGTERM or Ctrl-C at any
moment; a kill loses the structure being worked on and nothing else.
"""

import argparse
import collections
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms

from extensive import keys
from extensive.config import load_config
from extensive.config.plan import seed_of
from extensive.errors import InputError
from extensive.memory import peak_resident_GiB
from extensive.paths import LABELS, archive_folder, repository_root
from extensive.reference import convergence
from extensive.reference.archive import Archive, add_labels, locked, read_labels
from extensive.reference.calculation import LabelFailed, Labeller
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.chunks import failure_row, read_failures, write_failures
from extensive.reference.dynamics import Dynamics, run_trajectory, trajectory_digest
from extensive.reference.record import record_of
from extensive.reference.sampling import determining
from extensive.reference.settings import DFTSettings, gpaw_version, label_digest
from extensive.structures.datasets import generate_dataset

# Shares of machine time: every kind of label becomes usable early. The convergence study runs only when asked for.
SHARES = {"md": 0.45, "structures": 0.45, "supercells": 0.10}
CONVERGENCE = "convergence"
# Independent trajectories run ahead of those for training, since a result needs a sound test first.
INDEPENDENT_LEAD = 1.5
# Freed memory is kept, and cells of other sizes do not fit what one size has left: a worker that has grown so large
# (GiB) ends with this status, and its supervisor starts it again.
LARGEST_GIB = 5.0
GROWN = 75
SUPERVISED = "EXTENSIVE_SUPERVISED"
POLL_S = 1.0
# Frames per visit of a trajectory: long enough for the calculator's re-use to pay.
BURST = 6


@dataclass
class Work:
    """What is wanted of one data set."""

    dataset: str
    kind: str  # a key of SHARES, or CONVERGENCE
    independent: bool
    structures: list[Atoms]
    dynamics: Dynamics | None
    settings: DFTSettings
    count: int = 1  # structures or trajectories that are wanted of it
    seed: int = 0


def plan(config: dict[str, Any], study_too: bool = False) -> list[Work]:
    """All generated sheets of the configuration that DFT labels; the convergence study if asked."""
    settings = DFTSettings.from_config(config["reference"]["dft"])
    wanted = []
    for name, spec in config["structures"]["datasets"].items():
        if spec["files"] or spec["teacher"]:
            continue
        kind = "md" if spec["sampler"] == "md" else "supercells" if spec["set"] == keys.SUPERCELLS else "structures"
        dynamics = Dynamics.from_config(spec["md"]) if kind == "md" else None
        independent = spec["set"] == keys.INDEPENDENT_MD
        structures = generate_dataset(name, spec, seed_of(config, name), config["structures"]["lattice_constants_A"])
        wanted.append(
            Work(name, kind, independent, structures, dynamics, settings, spec["count"], seed_of(config, name))
        )
    if not study_too:
        return wanted
    study = config["reference"]["convergence"]
    starts = {work.dataset: work.structures[: study["structures"]] for work in wanted}
    for point in convergence.points(study, settings):
        for dataset in set(point.datasets) - set(starts):
            raise InputError(f"reference.convergence: data set {dataset!r} is not among structures.datasets")
        members = [
            convergence.as_member(name, atoms)
            for dataset in point.datasets
            for name, atoms in convergence.jobs(point, starts[dataset])
        ]
        wanted.append(Work(convergence.DATASET, CONVERGENCE, False, members, None, point.settings))
    return wanted


class Grower:
    """One worker on the archive."""

    def __init__(self, config: dict[str, Any], folder: Path, lock_folder: Path, study_too: bool = False) -> None:
        self.folder = folder
        self.locks = lock_folder
        self.work = plan(config, study_too)
        self.archive = Archive(folder)
        self.labeller = Labeller(self.work[0].settings)
        self.failed_path = folder / "failed.csv"
        # More than a thousand, asked for before every label, at a millisecond each.
        self._digests: dict[tuple[int, int], str] = {}

    def status(self) -> dict[str, int]:
        """Number of archived labels of each wanted data set."""
        self.archive.refresh()
        return {work.dataset: len(self.archive.dataset(work.dataset)) for work in self.work}

    def next_units(self) -> list[tuple[Work, int]]:
        """(data set, index of structure or trajectory) still to do, most wanted first."""
        self.archive.refresh()
        failed = {row["digest"] for row in read_failures(self.failed_path)}
        spent: collections.Counter = collections.Counter()
        units: dict[str, list[tuple[float, int, Work]]] = collections.defaultdict(list)
        for work in self.work:
            labels = self.archive.dataset(work.dataset)
            if work.kind != CONVERGENCE:
                spent[work.kind] += sum(record_of(labelled)["seconds"] for labelled in labels)
            if work.kind == "md":
                for index in range(len(work.structures)):
                    digest = self.trajectory(work, index)
                    frames = len(self.archive.trajectory(digest))
                    if frames < work.dynamics.frames and _attempt(digest, work) not in failed:
                        ahead = INDEPENDENT_LEAD if work.independent else 1.0
                        # The whole data set counts first, then the trajectory's own length.
                        units["md"].append((len(labels) / ahead + 1e-3 * frames, index, work))
                continue
            for index, atoms in enumerate(work.structures):
                if not self._known(work, index) and _attempt(self.digest(work, index), work) not in failed:
                    # Data sets of which much is wanted, because they are hard to learn, grow faster.
                    first = len(atoms) if work.kind == "supercells" else len(labels) / work.count
                    units[work.kind].append((first + 1e-6 * index, index, work))
        ordered = sorted(units, key=lambda kind: spent[kind] / SHARES.get(kind, 1.0))
        return [(work, index) for kind in ordered for _, index, work in sorted(units[kind], key=lambda unit: unit[:2])]

    def digest(self, work: Work, index: int) -> str:
        """Digest of the label of a structure, or of a trajectory's start."""
        key = (id(work), index)
        if key not in self._digests:
            atoms = work.structures[index]
            self._digests[key] = label_digest(atoms, determining(atoms, work.settings), gpaw_version())
        return self._digests[key]

    def trajectory(self, work: Work, index: int) -> str:
        """Digest of a trajectory."""
        return trajectory_digest(self.digest(work, index), work.dynamics, index, work.seed)

    def run_one(self, kinds: tuple[str, ...] = tuple(SHARES)) -> bool:
        """Do the most wanted unit that no other worker holds; False when nothing is left."""
        for work, index in self.next_units():
            if work.kind not in kinds:
                continue
            with locked(self.locks / f"{self.digest(work, index)[-16:]}.claim", wait=False) as mine:
                if not mine:
                    continue
                # Another worker may have finished it between our look and our claim.
                self.archive.refresh()
                if work.kind != "md" and self._known(work, index):
                    continue
                self._do(work, index)
                return True
        return False

    def _known(self, work: Work, index: int) -> bool:
        atoms = work.structures[index]
        return self.digest(work, index) in self.archive.by_digest() or bool(self.archive.twin(atoms, work.settings, []))

    def _do(self, work: Work, index: int) -> None:
        atoms = work.structures[index]
        if self.labeller.settings != work.settings:
            self.labeller = Labeller(work.settings)
        try:
            if work.kind != "md":
                self._keep(work, self.labeller.label(atoms))
                return
            self.archive.refresh()
            digest = self.trajectory(work, index)
            done = self.archive.trajectory(digest)
            dynamics = replace(work.dynamics, frames=min(work.dynamics.frames, len(done) + BURST))
            for frame in run_trajectory(atoms, dynamics, index, work.seed, digest, done, self.labeller.label):
                self._keep(work, frame)
        except LabelFailed as error:
            failed = self.trajectory(work, index) if work.kind == "md" else self.digest(work, index)
            row = failure_row(atoms, _attempt(failed, work), str(error))
            with locked(self.locks / "failed.lock"):
                write_failures(self.failed_path, [*read_failures(self.failed_path), row])
            report(f"{row['structure_id']} FAILED: {error}")

    def _keep(self, work: Work, labelled: Atoms) -> None:
        add_labels(self.folder, work.dataset, [labelled], self.locks)
        record = record_of(labelled)
        report(
            f"{labelled.info[keys.STRUCTURE_ID]} {len(labelled)} atoms "
            f"{labelled.info[keys.REF_ENERGY] / len(labelled):.4f} eV/atom "
            f"{record['iterations']} iterations {record['seconds']:.0f} s"
        )


def _attempt(digest: str, work: Work) -> str:
    """What a failure is remembered by: other ways to the solution are tried."""
    return f"{digest} {work.settings.steering()}"


def add_file(folder: Path, path: Path, lock_folder: Path) -> None:
    """Add the labelled structures of a file to the archive, each to its own data set."""
    by_dataset = collections.defaultdict(list)
    for labelled in read_labels(path):
        by_dataset[labelled.info[keys.DATASET]].append(labelled)
    for dataset, labels in by_dataset.items():
        add_labels(folder, dataset, labels, lock_folder)


def report(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


def run_workers(count: int, arguments: list[str], hours: float = float("inf")) -> int:
    """Run `count` single workers with these arguments until they end; stopping this one stops them.

    One that ends because its memory has grown is started again, for what is left of the `hours`.
    """
    command = [sys.executable, "-m", "extensive.reference.label", *arguments, "--workers", "1"]
    # Set before the workers import NumPy, which reads them then.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", SUPERVISED: "1"}
    end = time.monotonic() + 3600 * hours

    def start() -> subprocess.Popen:
        left = max(0.0, end - time.monotonic()) / 3600
        return subprocess.Popen([*command, "--hours", str(left)], env=environment, preexec_fn=lambda: os.nice(19))

    workers = [start() for _ in range(count)]
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        for worker in workers:
            worker.terminate()

    signal.signal(signal.SIGTERM, stop)
    codes: list[int | None] = [None] * count
    try:
        while None in codes:
            for index, worker in enumerate(workers):
                code = worker.poll()
                if code == GROWN and not stopped:
                    workers[index] = start()
                else:
                    codes[index] = 0 if code == GROWN else code
            if None in codes:
                time.sleep(POLL_S)
    except KeyboardInterrupt:  # the terminal has interrupted the workers as well
        return max(worker.wait() for worker in workers)
    return max(code for code in codes if code is not None)


def main(arguments: list[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description="Grow the archive of DFT labels; stop and restart at will.")
    parser.add_argument("--config", default="config/config.yaml", help="what is wanted")
    parser.add_argument("--archive", default=None, help="folder of the archive, in place of the configuration's")
    parser.add_argument("--locks", default="results/labels-locks", help="folder of lock files, shared by workers")
    parser.add_argument("--hours", type=float, default=float("inf"), help="start nothing after this many hours")
    parser.add_argument("--kinds", nargs="+", default=list(SHARES), choices=[*SHARES, CONVERGENCE])
    parser.add_argument("--workers", type=int, default=1, help="processes to run, one a core")
    parser.add_argument("--add", nargs="+", metavar="FILE", help="add the labels of these files of a run, and stop")
    parser.add_argument("--status", action="store_true", help="print the number of labels per data set and stop")
    options = parser.parse_args(arguments)
    added = [Path(path).resolve() for path in options.add or []]
    os.chdir(repository_root())
    # A lone worker needs it too: threads of the linear algebra made a label eight times as long on two busy cores.
    if not (options.status or added) and (options.workers > 1 or "OMP_NUM_THREADS" not in os.environ):
        given = list(sys.argv[1:] if arguments is None else arguments)
        return run_workers(options.workers, given, options.hours)
    prepare_serial_process()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        config = load_config(options.config)
        archive = Path(options.archive or archive_folder(config["reference"]["labels"]["archive"]) or LABELS)
        if added:
            for path in added:
                add_file(archive, path, Path(options.locks))
            return 0
        grower = Grower(config, archive, Path(options.locks), CONVERGENCE in options.kinds)
        if options.status:
            counts = grower.status()
            for dataset, count in counts.items():
                print(f"{count:6d} {dataset}")
            print(f"{sum(counts.values()):6d} in all")
            return 0
        end = time.monotonic() + options.hours * 3600
        while time.monotonic() < end and grower.run_one(tuple(options.kinds)):
            if SUPERVISED in os.environ and peak_resident_GiB() > LARGEST_GIB:
                return GROWN
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    report("nothing is left to do" if time.monotonic() < end else "the time is up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
