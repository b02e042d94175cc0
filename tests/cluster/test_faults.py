"""Labels through Slurm while everything goes wrong: at the end each is there once, as in an undisturbed run."""

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from extensive import keys
from extensive.config import load_config
from extensive.io import read_structures, write_structures
from extensive.reference import chunks
from extensive.reference.dynamics import Dynamics
from extensive.reference.settings import DFTSettings
from extensive.structures.datasets import generate_dataset

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.slurm, pytest.mark.dft, pytest.mark.slow, pytest.mark.timeout(1800)]

DATASETS = {"late": 5, "hungry": 1, "cancelled": 5, "moving": 4}
TARGETS = [f"results/faults/reference/chunks/{name}.0.extxyz" for name in DATASETS]
# Attempt 1 of `hungry` gets less memory than Python needs, and that of `late` one minute.
SCARCE = [
    "--set-resources",
    "label_chunk:mem_mb=(120 if wildcards.dataset == 'hungry' and attempt == 1 else 1500)",
    "label_chunk:runtime=(1 if wildcards.dataset == 'late' else 10) * attempt",
]
OPTIONS = ["--configfile", "config/faults.yaml", "--jobs", "6", "--cores", "2", "--slurm-jobname-prefix=faults"]


class Labels:
    """Labels that unfinished chunks have on disk, and when each was written."""

    def __init__(self, run) -> None:
        self.store = run.root / "results/faults/checkpoints/labels"

    def written(self, dataset: str = "*") -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in self.store.glob(f"{dataset}/**/*.extxyz")}


def processes_of(run, word: str) -> list[int]:
    """Processes that work in the run's folder and have a word in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            here = entry.name.isdigit() and os.readlink(entry / "cwd") == str(run.root)
            if here and word in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def chunk_job(slurm, dataset: str, *states: str) -> list[dict[str, str]]:
    jobs = slurm.jobs(comment=f"rule_label_chunk_wildcards_{dataset}_0")
    return [job for job in jobs if job["state"] in states]


def at_work(slurm, labels: Labels, dataset: str) -> dict[str, str] | None:
    """The running job of a data set that has put a label on disk, if there is one."""
    running = chunk_job(slurm, dataset, "RUNNING")
    return running[0] if running and labels.written(dataset) else None


def test_labels_survive_every_mishap(slurm, repository_run, preset):
    with repository_run("faults") as run:
        go_through_every_mishap(slurm, run, preset)


def go_through_every_mishap(slurm, run, preset) -> None:
    smoke, faults = (
        yaml.safe_load(file.read_text()) for file in (run.root / "config/smoke.yaml", HERE / "faults.yaml")
    )
    (run.root / "config/faults.yaml").write_text(yaml.safe_dump(smoke | faults))
    config = load_config(run.root / "config/faults.yaml")
    for dataset, spec in config["structures"]["datasets"].items():
        structures = generate_dataset(dataset, spec, config["seed"])
        write_structures(run.root / f"results/faults/structures/{dataset}.extxyz", structures)
    labels = Labels(run)
    run.start(*TARGETS, *OPTIONS, *SCARCE)

    # A job that hangs runs over its time limit.
    job = run.wait_for(lambda: at_work(slurm, labels, "late"), "a label of data set late")
    hanging = [pid for pid in processes_of(run, "reference-label.py") if belongs(pid, job["id"])]
    assert hanging
    for pid in hanging:
        os.kill(pid, signal.SIGSTOP)

    # Another is cancelled by somebody.
    job = run.wait_for(lambda: at_work(slurm, labels, "cancelled"), "a label of data set cancelled")
    slurm.run(f"scancel {job['id']}")

    run.wait_for(lambda: chunk_job(slurm, "cancelled", "CANCELLED"), "the cancelled job's end")
    run.wait_for(lambda: chunk_job(slurm, "hungry", "COMPLETED"), "the hungry job with more memory")
    memory = [job["memory"] for job in slurm.jobs(comment="rule_label_chunk_wildcards_hungry_0")]
    assert memory[:2] == ["120M", "1500M"]
    # A minute is the shortest limit that Slurm knows.
    run.wait_for(lambda: chunk_job(slurm, "late", "TIMEOUT"), "a job over its time limit")
    again = run.wait_for(lambda: chunk_job(slurm, "late", "RUNNING"), "its resubmission")
    limits = [job["limit"] for job in [*chunk_job(slurm, "late", "TIMEOUT"), *again]]
    # On a slow machine the first attempt may end before it is made to hang.
    assert limits in (["1:00", "2:00"], ["1:00", "2:00", "3:00"])

    # Snakemake itself is killed while that job runs; its jobs are ended, and a new one goes on.
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    ended = subprocess.run([run.root / "profiles/slurm/after-kill.sh"], cwd=run.root, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert not slurm.jobs(states="running,pending", name="faults")
    written = labels.written()
    expected = {dataset: undisturbed(config, dataset, run.root / "undisturbed") for dataset in DATASETS}
    assert preset.output, "the other run does not share the node's fate"
    run.start(*TARGETS, *OPTIONS)

    # The node goes down under a job and comes back.
    node = slurm.run("sinfo --noheader --format=%n")
    run.wait_for(lambda: slurm.jobs(states="running"), "a job of the second run")
    slurm.run(f"scontrol update nodename={node} state=down reason=test")
    run.wait_for(lambda: not slurm.jobs(states="running"), "the end of the jobs on a lost node")
    slurm.run(f"scontrol update nodename={node} state=resume")
    run.finish()

    # Nothing was done twice: what was on disk when snakemake was killed is as it was.
    after = labels.written()
    assert {file: after[file] for file in written} == written
    for dataset, count in DATASETS.items():
        disturbed = read_structures(run.root / f"results/faults/reference/chunks/{dataset}.0.extxyz")
        ids = [atoms.info[keys.STRUCTURE_ID] for atoms in disturbed]
        assert len(ids) == len(set(ids)) == count
        for one, other in zip(expected[dataset], disturbed):
            assert one.info[keys.STRUCTURE_ID] == other.info[keys.STRUCTURE_ID]
            np.testing.assert_allclose(one.positions, other.positions, atol=1e-5)
            assert abs(one.info[keys.REF_ENERGY] - other.info[keys.REF_ENERGY]) / len(one) < 1e-4, dataset


def undisturbed(config: dict, dataset: str, folder: Path) -> list:
    """The labels of a data set, computed here in one go."""
    spec = config["structures"]["datasets"][dataset]
    store = chunks.Store(folder, None, DFTSettings.from_config(config["reference"]["dft"]), [])
    members = list(enumerate(generate_dataset(dataset, spec, config["seed"])))
    dynamics = Dynamics.from_config(spec["md"]) if spec["sampler"] == "md" else None
    labelled, failures = chunks.label_chunk(members, store, dynamics, config["seed"])
    assert not failures
    return labelled


def belongs(pid: int, job: str) -> bool:
    """Whether a process is of a job, by its environment; one that has ended is of none."""
    try:
        return f"SLURM_JOB_ID={job}\0" in Path(f"/proc/{pid}/environ").read_text()
    except OSError:
        return False
