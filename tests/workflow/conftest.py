"""A private copy of the working tree for plans, and one real smoke run that all workflow tests share."""

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
