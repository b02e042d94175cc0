"""A private copy of the working tree for plans, and one real smoke run that all workflow tests share."""

import json
import shutil
from pathlib import Path

import pytest
from private_copy import Workflow, copy_tree


@pytest.fixture(scope="session")
def workflow_copy(tmp_path_factory) -> Workflow:
    """For dry-runs: nothing has been run in it."""
    return copy_tree(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> Workflow:
    """The smoke preset, run for real to the end."""
    workflow = copy_tree(tmp_path_factory.mktemp("smoke"))
    workflow.snakemake()
    return workflow


@pytest.fixture(scope="session")
def rules(workflow_copy) -> dict[str, dict]:
    """Of each rule with a script: its code, its log, its figure's module and whether it reads the archive."""
    probe = workflow_copy.root / "described.smk"
    shutil.copy(Path(__file__).with_name("described_rules.smk"), probe)
    try:
        workflow_copy.snakemake("-s", probe.name, "--list-rules", preset="config")
    finally:
        probe.unlink()
    described = json.loads((workflow_copy.root / "rules.json").read_text())
    return {name: rule for name, rule in described.items() if rule["script"]}
