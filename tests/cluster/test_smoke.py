"""Every stage through a real Slurm, within what its jobs asked for."""

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.slurm, pytest.mark.dft, pytest.mark.slow]
# The whole smoke preset takes minutes more; ask for it with EXTENSIVE_SLURM_PRESET=smoke.
PRESET = os.environ.get("EXTENSIVE_SLURM_PRESET", "small")


@pytest.fixture(scope="module")
def finished(slurm, repository_run):
    run = repository_run("preset")
    smoke = yaml.safe_load((run.root / "config/smoke.yaml").read_text())
    if PRESET == "small":
        smoke |= yaml.safe_load((HERE / "small.yaml").read_text())
    (run.root / "config/preset.yaml").write_text(yaml.safe_dump(smoke))
    before = len(slurm.jobs())
    with run:
        run.start("--configfile", "config/preset.yaml", "--cores", "2")
        output = run.finish(timeout_s=3000)
    return run.root / "results" / smoke["run"], slurm.jobs()[before:], output


def megabytes(text: str) -> float:
    return float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def test_every_stage_was_a_slurm_job(finished):
    folder, jobs, _ = finished
    done = " ".join(job["comment"] for job in jobs if job["state"] == "COMPLETED")
    for rule in ("structures", "label_chunk", "rasterize", "train", "evaluate", "timing_dft", "figure_"):
        assert rule in done, rule
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert (folder / "figures/scaling.pdf").stat().st_size > 1000
    assert (folder / "tables/claims.csv").stat().st_size > 100


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
