"""A wheel of the repository, in an environment of its own and far from any checkout, predicts and checks."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from private_copy import ROOT, copy_tree

from extensive import Calculator
from extensive.structures.lattices import graphene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LARGEST_NETWORKS_BYTES = 1.5e6  # three seeds of the gated network, and the fast one


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from what git tracks, with the backend that is installed here."""
    tree, out = copy_tree(tmp_path_factory.mktemp("tree")).root, tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, tree]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """Runs a command of a new environment that holds the wheel, and lends it the libraries of this one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        program = [folder / "venv" / "bin" / command[0], *command[1:]]
        done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # Libraries alone: what is installed there as editable is made known by .pth files, which are not read from here.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    place = Path(run("python", "-c", "import extensive; print(extensive.__file__)").strip())
    assert place.is_relative_to(folder)
    assert not any((parent / "Snakefile").exists() for parent in place.parents)
    run.folder = folder
    return run


@pytest.fixture(scope="module")
def sheet() -> Atoms:
    atoms = graphene((5, 3))
    atoms.rattle(0.03, seed=1)
    atoms.positions[:, 2] = atoms.cell[2, 2] / 2
    return atoms


def test_the_wheel_holds_the_schema_and_the_networks_of_all_seeds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert "extensive/config/schema.yaml" in sizes
    networks = {name: size for name, size in sizes.items() if name.startswith("extensive/published/")}
    # Not those that were a stage on the way, or of other systems.
    own = re.compile(r"ednn(-seed\d|-fast)?(-rounding)?\.(pt|json)")
    published = {path.name for path in (ROOT / "results/published/models").iterdir() if own.fullmatch(path.name)}
    assert {Path(name).name for name in networks} == published
    assert {"ednn.pt", "ednn.json", "ednn-fast.pt", "ednn-fast.json"} < published
    assert sum(networks.values()) < LARGEST_NETWORKS_BYTES
    # A source distribution has them too.
    included = [pattern for line in (ROOT / "MANIFEST.in").read_text().splitlines() for pattern in line.split()[1:]]
    models = {f"results/published/models/{name}" for name in published}
    assert {name for name in models if any(fnmatch(name, pattern) for pattern in included)} == models
    assert not any(name.startswith(("tests", "workflow", "results")) for name in sizes)


def test_the_command_predicts_as_the_checkout_does(elsewhere, sheet):
    ase.io.write(elsewhere.folder / "in.xyz", sheet, format="extxyz")
    elsewhere("extensive", "predict", "in.xyz", "out.xyz")
    predicted = ase.io.read(elsewhere.folder / "out.xyz")
    here = Calculator("ednn")
    here.calculate(sheet, ["energy", "forces"])
    assert predicted.get_potential_energy() == pytest.approx(here.results["energy"], abs=1e-4)
    assert predicted.get_forces() == pytest.approx(here.results["forces"], abs=1e-4)
    elsewhere("extensive", "predict", "in.xyz", "ensemble.xyz", "--model", "ednn", "--model", "ednn-seed1")
    assert "energy_uncertainty" in ase.io.read(elsewhere.folder / "ensemble.xyz").info


def test_the_calculator_needs_no_argument(elsewhere, sheet):
    ase.io.write(elsewhere.folder / "sheet.xyz", sheet, format="extxyz")
    program = (
        "import ase.io, json; from extensive import Calculator; atoms = ase.io.read('sheet.xyz');"
        " atoms.calc = Calculator(); print(json.dumps([atoms.get_potential_energy(), len(atoms.get_forces())]))"
    )
    energy, count = json.loads(elsewhere("python", "-c", program))
    assert energy / count == pytest.approx(Calculator("ednn").get_potential_energy(sheet) / len(sheet), abs=1e-6)
    assert count == len(sheet)


def test_a_configuration_is_checked(elsewhere):
    (elsewhere.folder / "mine.yaml").write_text((ROOT / "config" / "smoke.yaml").read_text())
    assert "mine.yaml: right" in elsewhere("extensive", "check", "mine.yaml")
