"""Every stage through a real Slurm, within what its jobs asked for."""

import pandas as pd
import pytest

from extensive.io import read_structures
from extensive.reference.record import record_of

pytestmark = [pytest.mark.slurm, pytest.mark.dft, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def finished(slurm, preset):
    output = preset.output
    return preset.folder, slurm.jobs(name="preset"), output


def megabytes(text: str) -> float:
    return float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def test_every_stage_was_a_slurm_job(finished):
    folder, jobs, _ = finished
    done = " ".join(job["comment"] for job in jobs if job["state"] == "COMPLETED")
    for rule in ("structures", "label_chunk", "train", "evaluate", "timing_dft", "figure_"):
        assert rule in done, rule
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert (folder / "figures/scaling.pdf").stat().st_size > 1000
    assert (folder / "tables/claims.csv").stat().st_size > 100


def test_large_cells_were_computed_and_timed_by_two_processes(finished):
    folder, jobs, _ = finished
    if not any("_mpi_" in job["comment"] for job in jobs):
        pytest.skip("this GPAW was built without MPI: envs/setup.sh builds it with MPI where mpic++ is there")
    cpus = {job["comment"]: job["cpus"] for job in jobs if "_mpi_" in job["comment"]}
    assert len(cpus) == 2
    assert set(cpus.values()) == {"2"}
    (large,) = read_structures(folder / "reference/supercells-16.extxyz")
    assert record_of(large)["cores"] == 2
    timings = pd.read_csv(folder / "timings/dft.csv").set_index(["n_atoms", "cores"]).seconds
    assert set(timings.index) == {(4, 1), (16, 1), (16, 2)}
    assert (timings > 0).all()


def test_short_jobs_share_allocations(finished):
    _, jobs, output = finished
    steps = int(output.rpartition(" steps (100%) done")[0].split()[-1])
    assert len(jobs) < 0.7 * steps


def test_jobs_used_less_than_they_asked_for(finished):
    """Memory of each benchmark against the memory of its job; Slurm itself would have ended one over its limits."""
    folder, jobs, _ = finished
    for stage, rule in (
        ("label", "rule_label_chunk_"),
        ("train", "rule_train_wildcards"),
        ("timing", "rule_timing_dft_"),
    ):
        asked = [megabytes(job["memory"]) for job in jobs if rule in job["comment"]]
        used = [pd.read_csv(file, sep="\t").max_rss.max() for file in (folder / "benchmarks" / stage).glob("*.tsv")]
        assert asked
        assert max(used) < min(asked), stage
