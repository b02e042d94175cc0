"""Profiles without a cluster: their options exist, and each stands alone."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from snakemake_executor_plugin_cluster_generic import ExecutorSettings as GenericSettings
from snakemake_executor_plugin_slurm import ExecutorSettings as SlurmSettings

ROOT = Path(__file__).resolve().parents[2]
# What every profile must say, since a profile that is named replaces the default one.
COMMON = ("show-failed-logs", "rerun-incomplete", "keep-going", "scheduler")


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "prefix", "settings"),
    [("slurm", "slurm-", SlurmSettings), ("generic", "cluster-generic-", GenericSettings)],
)
def test_profile_stands_alone_and_its_plugin_knows_its_options(name, prefix, settings):
    options = profile(name)
    known = {field.name.replace("_", "-") for field in fields(settings)}
    assert {key.removeprefix(prefix) for key in options if key.startswith(prefix)} <= known
    assert {key: options[key] for key in COMMON} == {key: profile("default")[key] for key in COMMON}
    assert options["retries"] >= 1
