"""A private copy of the working tree, in which snakemake is run and files are edited."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Workflow:
    """A copy of the repository in which snakemake can be run and files can be edited."""

    root: Path

    def environment(self) -> dict[str, str]:
        env = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH="")
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        for name in ("PMIX_RANK", "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
            env.pop(name, None)
        return env

    def command(self, *args: str, preset: str | None = "smoke") -> list[str]:
        configfile = ["--configfile", f"config/{preset}.yaml"] if preset else []
        # Short runs have few jobs: the profile's longer timespan would only be waited for at each exit.
        short = ["--max-jobs-per-timespan", "500/1s"]
        return [sys.executable, "-m", "snakemake", "--cores", "2", *short, *configfile, *args]

    def snakemake(self, *args: str, preset: str | None = "smoke", check: bool = True):
        done = subprocess.run(
            self.command(*args, preset=preset),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if check and done.returncode:
            pytest.fail(f"snakemake {' '.join(args)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done

    def planned(self, *args: str, preset: str | None = "smoke") -> dict[str, int]:
        """Rules that a dry-run would run, with their numbers of jobs."""
        done = self.snakemake("--dry-run", "--quiet", "rules", *args, preset=preset)
        jobs = {}
        for line in done.stdout.splitlines():
            words = line.split()
            if len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "all"):
                jobs[words[0]] = int(words[1])
        return jobs


def tracked_files() -> list[Path]:
    """Files of the working tree that git tracks or would track, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def copy_tree(target: Path) -> Workflow:
    for file in tracked_files():
        copy = target / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    return Workflow(target)
