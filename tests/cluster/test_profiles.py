"""Profiles without a cluster: their options exist, and each stands alone."""

import re
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


def test_every_figure_shares_an_allocation():
    """A rule that is added later must not become a job of its own for a second of work."""
    text = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with:", text, flags=re.MULTILINE))
    names = {first or second for first, second in rules}
    short = {name for name in names if name.startswith(("figure_", "evaluate")) or name.endswith("_table")}
    assert short
    grouped = profile("slurm")["groups"]
    assert set(grouped) <= names
    # Of studies that take hours, once.
    assert short - {"convergence_table", "physics_table"} <= set(grouped)
