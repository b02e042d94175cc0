"""The generic profile, as filled in for PBS, through Slurm's own commands of that name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def pbs_commands(slurm):
    if not shutil.which("qsub"):
        if os.environ.get("INSTALL") != "1" and os.environ.get("CI") != "true":
            pytest.skip("needs qsub of Debian's slurm-wlm-torque; INSTALL=1 installs it")
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "slurm-wlm-torque"]
        if not shutil.which("apt-get") or subprocess.run(install, capture_output=True).returncode:
            pytest.skip("no qsub here: Debian's package slurm-wlm-torque could not be installed")


def test_jobs_of_the_pbs_profile_run_fail_and_are_done_again(slurm, pbs_commands, small_run):
    run = small_run(HERE / "generic.smk")
    run.start(profile="profiles/generic")
    waiting = run.wait_for(
        lambda: (run.root / "was-here").exists() and slurm.jobs(states="running", name="waits"), "job of rule waits"
    )
    slurm.run(f"scancel {waiting[-1]['id']}")
    run.finish()
    assert (run.root / "sum.txt").read_text().split() == ["0", "1", "600", "again"]
    memory = [job["memory"] for job in slurm.jobs(name="hungry")]
    assert memory == ["300M", "600M"]
    assert len(slurm.jobs(name="waits")) == 2
    # Processes of an MPI job are cores to the scheduler.
    assert {job["cpus"] for job in slurm.jobs(name="part")} == {"2"}
