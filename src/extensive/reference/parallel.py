"""DFT of large cells by several processes (MPI): how ranks are split, and one label or timing started under a launcher.

The caller stays one serial process that keeps the files; each calculation is a program of its own, so that one that
crashes or is killed takes nothing with it. Its start takes 2-3 s, little beside the minutes of a large cell.
"""

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ase import Atoms

from extensive.errors import InputError
from extensive.io import read_json, read_structures, write_json, write_structures
from extensive.reference.archive import read_labels
from extensive.reference.calculation import LabelFailed, Labeller
from extensive.reference.sampling import kpoint_list
from extensive.reference.settings import DFTSettings

WITHOUT_MPI = "this GPAW was built without MPI"


def irreducible_kpoints(atoms: Atoms, settings: DFTSettings) -> int:
    """Number of k-points that are computed: of k and -k, which time reversal makes equal, one."""
    points = {tuple(round(x * 1e6) % 1_000_000 for x in point) for point in kpoint_list(atoms, settings)}
    return len({min(point, tuple(-x % 1_000_000 for x in point)) for point in points})


def split_ranks(ranks: int, kpoints: int) -> dict[str, Any]:
    """GPAW's `parallel` argument: ranks over k-points, which hardly talk to each other, then over parts of the grid.

    The grid is cut along x and y only: a sheet is thin along z. GPAW's LCAO gains nothing from a split over bands.
    """
    over_kpoints = math.gcd(ranks, kpoints)
    left = ranks // over_kpoints
    along_x = max(n for n in range(1, math.isqrt(left) + 1) if left % n == 0)
    return {"kpt": over_kpoints, "domain": (along_x, left // along_x, 1), "band": 1}


class RanksFailed(RuntimeError):
    """Processes that ended with an error; the message is the last line that they printed."""


def run_ranks(launcher: str, ranks: int, module: str, job: dict[str, Any]) -> None:
    """Run `python -m MODULE JOB.json` with so many processes under `launcher` (mpirun, srun --mpi=pmix).

    Raises RanksFailed with the last line that the program printed if it ends with an error, InputError where the
    launcher is missing or GPAW cannot do MPI.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "ranks": ranks}))
        # `gpaw python` is what starts MPI.
        command = [*shlex.split(launcher), "-n", str(ranks), sys.executable, "-m", "gpaw", "python", "-m"]
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        try:
            ended = subprocess.run(
                [*command, module, str(path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
        except OSError as error:
            raise InputError(
                f"launcher {launcher!r}: cannot be started ({error.strerror}); is MPI installed?"
            ) from None
    if ended.returncode:
        print(ended.stdout, file=sys.stderr)
        if "MPI parallelism is disabled" in ended.stdout or WITHOUT_MPI in ended.stdout:
            raise InputError(f"mpi: {WITHOUT_MPI}; see docs/cluster.md")
        # What the launcher adds, behind a line of dashes, is not the reason.
        said = [line.strip() for line in ended.stdout.split("\n-----")[0].splitlines() if line.strip(" -")]
        raise RanksFailed(f"{ranks} ranks ended with {ended.returncode}: {said[-1] if said else 'no output'}")


def join_ranks(ranks: int) -> bool:
    """Whether this process is the first one; ends with one clear line where the processes are not one program."""
    from gpaw.mpi import world

    if world.size != ranks:
        sys.exit(f"mpi: {world.size} of {ranks} ranks joined; {WITHOUT_MPI}")
    return world.rank == 0


class ParallelLabeller:
    """Labels structures one after another, each by several processes; the same energies as those of one process.

    Densities of earlier structures are not carried over.
    """

    def __init__(self, settings: DFTSettings, ranks: int, launcher: str) -> None:
        self.settings, self.ranks, self.launcher = settings, ranks, launcher

    def label(self, atoms: Atoms) -> Atoms:
        """As `Labeller.label`; also raises InputError where the launcher or GPAW cannot do MPI."""
        with tempfile.TemporaryDirectory() as folder:
            structure, label = Path(folder) / "structure.extxyz", Path(folder) / "label.extxyz"
            failed = Path(folder) / "failed.json"
            write_structures(structure, [atoms])
            job = {"structure": str(structure), "label": str(label), "failed": str(failed)}
            job["settings"] = vars(self.settings)
            run_ranks(self.launcher, self.ranks, "extensive.reference.parallel", job)
            if failed.is_file():
                raise LabelFailed(read_json(failed)["reason"])
            return read_labels(label)[0]


def main(path: str) -> None:
    """One rank of one label."""
    job = json.loads(Path(path).read_text())
    first = join_ranks(job["ranks"])
    settings = DFTSettings.from_config(job["settings"])
    atoms = read_structures(job["structure"])[0]
    split = split_ranks(job["ranks"], irreducible_kpoints(atoms, settings))
    try:
        labelled = Labeller(settings, reuse=False, parallel=split).label(atoms)
    except LabelFailed as error:
        if first:
            write_json(job["failed"], {"reason": str(error)})
        return
    if first:
        write_structures(job["label"], [labelled])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One rank of one label; started by the label stage.")
    parser.add_argument("job")
    main(parser.parse_args().job)
