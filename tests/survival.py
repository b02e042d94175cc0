"""Jobs killed at random moments and started again until they end, and what is lost by it: nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from private_copy import ROOT

PATIENCE_S = 600


@dataclass
class Job:
    """A script of the workflow with its inputs made by `prepare(folder)`; `same(one, other)` compares two folders."""

    name: str
    script: str
    prepare: Callable[[Path], None]
    same: Callable[[Path, Path], None]
    imports: list[str]
    input: dict = field(default_factory=dict)
    output: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    wildcards: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    # What may be whole or missing, never half, whenever the job is killed.
    whole: str = "out/*"

    def folder(self, path: Path, tree: Path) -> Path:
        """A folder with this job's inputs."""
        path.mkdir(parents=True)
        self.prepare(path)
        values = {
            name: getattr(self, name) for name in ("imports", "input", "output", "params", "wildcards", "settings")
        }
        script = str(tree / "workflow/scripts" / self.script)
        (path / "job.json").write_text(json.dumps({**values, "script": script}))
        return path


@dataclass
class Tally:
    """What a job went through."""

    name: str
    undisturbed_s: float
    kills: int = 0
    ends: int = 0  # times that it came to its end and was compared
    leftovers: int = 0  # temporary files that kills left behind


def start(folder: Path, tree: Path) -> subprocess.Popen:
    """The job in a process group of its own, up to the moment where its work begins."""
    environment = dict(os.environ, PYTHONPATH=str(tree / "src"), OMP_NUM_THREADS="1")
    command = [sys.executable, str(ROOT / "tests/survival_job.py"), "job.json"]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert process.stdout.readline() == b"begin\n", (folder / "stderr").read_text()
    return process


def finish(process: subprocess.Popen, folder: Path) -> None:
    """Wait for the end, which must be a good one."""
    process.wait(PATIENCE_S)
    process.stdout.close()
    log = folder / "job.log"
    assert process.returncode == 0, (folder / "stderr").read_text() + (log.read_text() if log.is_file() else "")


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to the whole process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def survive(job: Job, kills: int, seed: int, tmp: Path, tree: Path, share: float = 1 / 3) -> Tally:
    """Kill `job` so many times, each within `share` of its undisturbed duration, and let it end.

    A job that ends before it has been killed often enough is compared and begun anew. Raises AssertionError for
    any difference from the undisturbed one, and for any output that is there but not whole after a kill.
    """
    undisturbed = job.folder(tmp / f"{job.name}-undisturbed", tree)
    process, begun = start(undisturbed, tree), time.monotonic()
    finish(process, undisturbed)
    tally = Tally(job.name, time.monotonic() - begun)
    moments = random.Random(f"{seed} {job.name}")
    while True:
        folder = job.folder(tmp / f"{job.name}-killed-{tally.ends}", tree)
        while True:
            process = start(folder, tree)
            if tally.kills == kills:
                finish(process, folder)
                break
            try:
                process.wait(moments.uniform(0, share * tally.undisturbed_s))
            except subprocess.TimeoutExpired:
                kill(process)
                tally.kills += 1
                nothing_is_half_written(job, folder, undisturbed)
            else:
                finish(process, folder)
                break
        tally.ends += 1
        tally.leftovers += sum(path.name.startswith(".tmp-") for path in folder.rglob("*"))
        job.same(undisturbed, folder)
        if tally.kills == kills:
            return tally


def nothing_is_half_written(job: Job, folder: Path, undisturbed: Path) -> None:
    """Outputs that are there after a kill are as long as they will be, to some digits of a time."""
    for path in folder.glob(job.whole):
        if path.is_file() and not path.name.startswith("."):
            whole = undisturbed / path.relative_to(folder)
            assert abs(path.stat().st_size - whole.stat().st_size) <= 0.02 * whole.stat().st_size + 8, path


def table(tallies: list[Tally]) -> str:
    """What happened, as Markdown."""
    lines = ["| job | kills | ended and compared | lost |", "|---|---|---|---|"]
    lines += [f"| {tally.name} | {tally.kills} | {tally.ends} | 0 |" for tally in tallies]
    return "\n".join([*lines, f"| all | {sum(t.kills for t in tallies)} | {sum(t.ends for t in tallies)} | 0 |"])
