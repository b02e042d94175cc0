"""Conda environments, without conda: solved against recorded versions, installed, and used by jobs."""

import ast
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from rattler.exceptions import SolverError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FILES = sorted((ROOT / "envs").glob("*.yaml"))
# The workflow in small: a job in each kind of environment tries what it is for and what it is not for.
SNAKEFILE = """
rule all:
    input:
        expand("{name}.txt", name=["dft", "torch-cpu", "figures"]),


rule check:
    output:
        "{name}.txt",
    conda:
        "envs/{name}.yaml"
    script:
        "check.py"
"""
SCRIPT = """
import importlib

names = ("gpaw", "torch", "h5py", "matplotlib", "seaborn", "ase", "scipy")
found = []
for name in names:
    try:
        importlib.import_module(name)
        found.append(name)
    except ModuleNotFoundError as error:
        assert "environment's file does not name" in str(error), error
with open(snakemake.output[0], "w") as file:
    print(*found, file=file)
"""
USED = {
    "dft": {"gpaw", "matplotlib", "ase", "scipy"},
    "torch-cpu": {"torch", "h5py", "matplotlib", "ase", "scipy"},
    "figures": {"matplotlib", "seaborn", "ase", "scipy"},
}


def module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


lock = module("lock", ROOT / "envs" / "lock.py")
channel = module("stand_in_channel", HERE / "conda" / "channel.py")


@pytest.fixture(scope="module")
def channels(tmp_path_factory) -> str:
    return f"file://{channel.write_channels(tmp_path_factory.mktemp('channels'))}"


@pytest.fixture(scope="module")
def conda(tmp_path_factory, channels) -> dict[str, str]:
    """Environment variables under which `conda` is the stand-in."""
    prefix = tmp_path_factory.mktemp("conda") / "bin"
    prefix.mkdir()
    for name in ("conda", "activate"):
        shutil.copy(HERE / "conda" / name, prefix / name)
    (prefix / "python").symlink_to(sys.executable)
    (prefix / "conda").write_text(
        (prefix / "conda").read_text().replace("#!/usr/bin/env python", f"#!{sys.executable}", 1)
    )
    (prefix / "conda").chmod(stat.S_IRWXU)
    (prefix / "python").unlink()
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(prefix), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "STAND_IN_CHANNELS": channels,
        "STAND_IN_ENVS": str(ROOT / "envs"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
    }


def snakemake(folder: Path, environment: dict[str, str], *args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *args, "--cores", "1", "--sdm", "conda"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def small_workflow(tmp_path) -> Path:
    shutil.copytree(ROOT / "envs", tmp_path / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "check.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_environment_has_a_solution(file, channels):
    records = {record.name.source: record for record in lock.solve_file(file, channels)}
    for requirement in yaml.safe_load(file.read_text())["dependencies"]:
        if isinstance(requirement, dict):  # what pip installs beside them
            continue
        name, *versions = requirement.split("=")
        version, *build = versions or [""]
        assert str(records[name].version).startswith(version), requirement
        if build:
            assert fnmatch(str(records[name].build), build[0]), requirement


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        (("numpy=2.4", "numpy=2.44"), "numpy"),
        (("gpaw=25.7.0", "gpaw=26.7.0"), "gpaw"),
        (("scipy=1.17", "scipi=1.17"), "scipi"),
    ],
)
def test_typo_or_impossible_pin_is_named(change, culprit, channels, tmp_path):
    file = tmp_path / "dft.yaml"
    text = (ROOT / "envs" / "dft.yaml").read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    with pytest.raises(SolverError, match=culprit):
        lock.solve_file(file, channels)


def scripts_of(environment: str) -> list[Path]:
    """Scripts of the rules that name an environment."""
    names = {"torch-cpu.yaml": "TORCH_ENV"}.get(environment, f'"../../envs/{environment}"')
    found = set()
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^(?=(?:use )?rule )", file.read_text(), flags=re.M):
            script = re.search(r'script:\n +"\.\./scripts/(.+)"', rule)
            if script and re.search(rf"conda:\n(?: +#.*\n)* +{re.escape(names)}", rule):
                found.add(ROOT / "workflow" / "scripts" / script[1])
    return sorted(found)


def imports_of(scripts: list[Path]) -> list[str]:
    return [
        ast.unparse(node)
        for script in scripts
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def rules_imports() -> list[str]:
    """What rules import, in the process that plans and submits."""
    lines = [line for file in (ROOT / "workflow" / "rules").glob("*.smk") for line in file.read_text().splitlines()]
    return [line for line in lines if re.match(r"(from|import) [\w.]+", line)]


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dft.yaml", "torch-cpu.yaml", "figures.yaml", "driver.yaml"])
def test_scripts_import_nothing_that_their_environment_lacks(environment, channels, tmp_path):
    """A module that is installed here, but that the environment's file does not bring, cannot be imported."""
    named, stand_in = tmp_path / "share" / "stand-in", tmp_path / "lib" / "stand-in"
    named.mkdir(parents=True)
    stand_in.mkdir(parents=True)
    for record in lock.solve_file(ROOT / "envs" / environment, channels):
        (named / record.name.source).touch()
    shutil.copy(HERE / "conda" / "only_named_packages.py", stand_in / "sitecustomize.py")
    statements = rules_imports() if environment == "driver.yaml" else imports_of(scripts_of(environment))
    assert statements
    # Scripts see what lies beside them: their wrapper.
    path = os.pathsep.join(map(str, (stand_in, ROOT / "src", ROOT / "workflow" / "scripts")))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(dict.fromkeys(statements))],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{environment}: {done.stderr[-2000:]}"


def test_torch_of_a_gpu_is_locked_without_one_and_never_meets_the_cpu_build(channels):
    builds = {
        name: {record.name.source: str(record.build) for record in lock.solve_file(ROOT / "envs" / name, channels)}
        for name in ("torch-cpu.yaml", "torch-cuda.yaml")
    }
    assert builds["torch-cpu.yaml"]["pytorch"].startswith("cpu_")
    assert builds["torch-cuda.yaml"]["pytorch"].startswith("cuda129_")


@pytest.mark.slow
def test_jobs_see_what_their_environment_names_and_a_lock_is_installed_to_the_letter(small_workflow, conda, channels):
    # pandas has a newer version, which this lock holds back.
    old = small_workflow / "old.yaml"
    old.write_text((ROOT / "envs" / "figures.yaml").read_text().replace("pandas=3.0", "pandas=3.0.2"))
    pins = small_workflow / "envs" / "figures.linux-64.pin.txt"
    pins.write_text(lock.explicit(lock.solve_file(old, channels)))
    done = snakemake(small_workflow, conda)
    assert done.returncode == 0, done.stdout
    for name, expected in USED.items():
        assert set((small_workflow / f"{name}.txt").read_text().split()) == expected
    assert "Using pinnings" in done.stdout
    assert "Failed to install" not in done.stdout
    versions = {file.read_text().strip() for file in small_workflow.glob(".snakemake/conda/*/share/stand-in/pandas")}
    assert versions == {"3.0.2", "3.0.3"}


@pytest.mark.medium
def test_impossible_environment_ends_the_run_with_the_reason(small_workflow, conda):
    file = small_workflow / "envs" / "figures.yaml"
    file.write_text(file.read_text().replace("seaborn-base=0.13.2", "seaborn-base=0.14.7"))
    done = snakemake(small_workflow, conda, "figures.txt")
    assert done.returncode != 0
    assert "seaborn-base" in done.stdout
    assert not (small_workflow / "figures.txt").exists()
