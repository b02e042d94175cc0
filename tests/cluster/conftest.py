"""A real Slurm on this machine for the session, and snakemake runs through it."""

import fcntl
import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def gpaw_has_mpi() -> bool:
    """Whether the installed GPAW can compute a cell by several processes."""
    try:
        from gpaw import cgpaw
    except ImportError:
        return False
    return bool(getattr(cgpaw, "have_mpi", False))


def _copy_tree():
    """The function of the workflow tests that makes a private copy of the working tree."""
    spec = importlib.util.spec_from_file_location("workflow_tests", ROOT / "tests/workflow/conftest.py")
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    if not hasattr(module, "copy_tree"):
        spec.loader.exec_module(module)
    return module.copy_tree


class Slurm:
    """What tests ask of the cluster."""

    def run(self, command: str) -> str:
        ended = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, f"{command}: {ended.stderr or ended.stdout}"
        return ended.stdout.strip()

    def jobs(self, *, states: str = "all", comment: str = "", name: str = "") -> list[dict[str, str]]:
        """Jobs and what they asked for, oldest first; Snakemake's `comment` holds rule and wildcards."""
        fields = {
            "id": "%A",
            "name": "%j",
            "state": "%T",
            "comment": "%k",
            "cpus": "%C",
            "memory": "%m",
            "limit": "%l",
        }
        columns = "|".join(fields.values())
        lines = self.run(f"squeue --noheader --states={states} --format={columns}").splitlines()
        jobs = [dict(zip(fields, line.split("|"))) for line in lines]
        jobs = [job for job in jobs if comment in job["comment"] and name in job["name"]]
        return sorted(jobs, key=lambda job: int(job["id"]))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The cluster for the session's tests; they are skipped with the reason where it cannot be had."""
    state = tmp_path_factory.mktemp("slurm")
    # One configuration file a machine: sessions beside this one wait for their turn.
    with open(Path(tempfile.gettempdir()) / "extensive-slurm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = subprocess.run([HERE / "slurm.sh", "start", state], capture_output=True, text=True)
        if started.returncode == 3:
            pytest.skip(started.stderr.strip().splitlines()[-1])
        try:
            assert started.returncode == 0, started.stdout + started.stderr
            yield Slurm()
        finally:
            subprocess.run([HERE / "slurm.sh", "stop", state], check=True)


class Run:
    """One folder in which snakemake drives the cluster."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = root / "snakemake-output.txt"

    def start(self, *args: str, profile: str = "profiles/slurm") -> None:
        # Settings of a launcher or of threads must not leak into the jobs.
        leaks = ("SLURM_", "PMIX_", "OMPI_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(leaks)}
        environment.update(
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            OMP_NUM_THREADS="1",
            # Processes that wait for each other should let others work: there are fewer cores here than ranks.
            OMPI_MCA_mpi_yield_when_idle="1",
            PYTHONPATH="",
        )
        # A test cluster answers at once; the profiles' patience is for a real one.
        snakemake = HERE / "impatient_snakemake.py"
        with open(self.output, "a") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    snakemake,
                    "--workflow-profile",
                    profile,
                    "--latency-wait=5",
                    "--max-jobs-per-timespan=100/1s",
                    *args,
                ],
                stdin=subprocess.DEVNULL,
                cwd=self.root,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        """End what a failed test leaves."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            subprocess.run(["scancel", f"--user={os.getuid()}"], check=False)

    def wait_for(self, condition, what: str, timeout_s: float = 600):
        """What `condition` returns once it is true; snakemake must not have ended before."""
        end = time.monotonic() + timeout_s
        while not (result := condition()):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                pytest.fail(f"{what}: snakemake ended, or {timeout_s} s passed:\n{self.output.read_text()[-6000:]}")
            time.sleep(0.5)
        return result

    def finish(self, timeout_s: float = 600) -> str:
        """What snakemake printed, once it has ended well."""
        try:
            status = self.process.wait(timeout=timeout_s)
        finally:
            self.process.kill()
        text = self.output.read_text()
        if status:
            pytest.fail(f"snakemake ended with {status}:\n{text[-6000:]}")
        return text


@pytest.fixture(scope="session")
def repository_run(tmp_path_factory):
    """Makes runs in a private copy of the repository; each test module names its own."""
    copy_tree = _copy_tree()

    def make(name: str) -> Run:
        return Run(copy_tree(tmp_path_factory.mktemp(name)).root)

    return make


class Preset:
    """Every stage through Slurm, from the start of the session on: while it works, other tests mostly wait."""

    def __init__(self, run: Run) -> None:
        self.run = run
        smoke, small = (
            yaml.safe_load(file.read_text()) for file in (run.root / "config/smoke.yaml", HERE / "small.yaml")
        )
        config = smoke | small
        if not gpaw_has_mpi():
            config["reference"]["mpi"]["above_atoms"] = None
        (run.root / "config/preset.yaml").write_text(yaml.safe_dump(config))
        self.folder = run.root / "results" / config["run"]
        run.start("--configfile", "config/preset.yaml", "--cores", "2", "--slurm-jobname-prefix=preset")

    @functools.cached_property
    def output(self) -> str:
        """What snakemake printed, once it has ended well."""
        return self.run.finish(timeout_s=3000)


@pytest.fixture(scope="session")
def preset(slurm, repository_run):
    with repository_run("preset") as run:
        yield Preset(run)


@pytest.fixture
def small_run(tmp_path):
    """A run of a small workflow of the tests, with the repository's profiles."""

    def make(snakefile: Path) -> Run:
        shutil.copy(snakefile, tmp_path / "Snakefile")
        shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
        return Run(tmp_path)

    return make
