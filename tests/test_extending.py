"""docs/extending.md, done word by word in a copy of the repository: each addition works and touches one folder."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results
from private_copy import ROOT, Workflow, copy_tree

PAGE = (ROOT / "docs/extending.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def blocks(section: str, language: str) -> list[str]:
    """The page's blocks of one language under one heading."""
    (text,) = [part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(section)]
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def done(section: str, tmp_path: Path) -> tuple[Workflow, set[str]]:
    """A copy with the section's changes made, and the folders of package and workflow that they touched."""
    copy = copy_tree(tmp_path / "copy")
    patch = "".join(blocks(section, "diff"))
    applied = subprocess.run(
        ["git", "apply", "--whitespace=error", "-"],
        cwd=copy.root,
        env={**copy.environment(), "GIT_CEILING_DIRECTORIES": str(tmp_path)},
        input=patch,
        capture_output=True,
        text=True,
    )
    assert applied.returncode == 0, applied.stderr
    touched = {str(Path(name).parent) for name in re.findall(r"^\+\+\+ b/(\S+)", patch, re.MULTILINE)}
    run(copy, "-m", "ruff", "check", "--quiet", ".")
    run(copy, "-m", "ruff", "format", "--check", "--quiet", ".")
    for name in re.findall(r"^\+\+\+ b/(tests/\S+)", patch, re.MULTILINE):
        run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", name)
    return copy, touched - {"tests"}


def run(copy: Workflow, *arguments: str) -> str:
    """Python in the copy, with the copy's package."""
    environment = {**copy.environment(), "PYTHONPATH": str(copy.root / "src")}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=copy.root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_family(tmp_path):
    copy, touched = done("A family", tmp_path)
    assert touched == {"src/extensive/structures"}
    (section,) = blocks("A family", "yaml")
    (copy.root / "mine.yaml").write_text("run: mine\n" + section)
    assert "right" in run(copy, "-m", "extensive.cli", "check", "mine.yaml")
    name = "graphene-divacancy-rattle"
    run(copy, "-m", "extensive.cli", "generate", name, "out.extxyz", "--config", "mine.yaml")
    assert (copy.root / "out.extxyz").read_text().count("family=graphene-divacancy") == 20
    assert copy.planned("--configfile", "mine.yaml", preset=None)["structures"] >= 1


TRAIN = """
import numpy as np
from own_models import rattled
from extensive import keys
from extensive.inference.calculator import Calculator
from extensive.config import complete_config
from extensive.training.fit import train_model

training = {"samples": 60, "batch_size": 4, "forces_weight": 0, "validations": 2}
entry = {"network": "cnn", "form": "dense", "channels": ["C"], "sigma_A": 0.5, "image_px": 16, "head": [8]}
entry["training"] = training
model = complete_config({"models": {"mine": entry}})["models"]["mine"]
sheets = [rattled(seed=i) for i in range(8)]
for i, atoms in enumerate(sheets):
    atoms.info |= {keys.STRUCTURE_ID: f"x-{i}", keys.FAMILY: "graphene", keys.REF_ENERGY: -9.0 * len(atoms) + i}
names = [atoms.info[keys.STRUCTURE_ID] for atoms in sheets]
train_model("mine", model, sheets, {"train": names[:6], "validation": names[6:]}, "mine", "mine.csv", "cpu")
print(Calculator("./mine", device="cpu").get_potential_energy(sheets[0]))
"""


def test_a_network(tmp_path):
    copy, touched = done("A network", tmp_path)
    assert touched == {"src/extensive/models", "src/extensive/config"}
    (copy.root / "tests/train.py").write_text(TRAIN)
    assert np.isfinite(float(run(copy, "tests/train.py")))
    assert "form dense" in run(copy, "-m", "extensive.cli", "inspect", "./mine")


def test_a_figure(tmp_path):
    copy, touched = done("A figure", tmp_path)
    assert touched == {"src/extensive/figures", "workflow/rules", "workflow/report"}
    assert copy.planned()["figure_error_histogram"] == 1
    predictions = copy.root / "results/smoke/predictions"
    predictions.mkdir(parents=True)
    synthetic_results.predictions("test").to_csv(predictions / "ednn-test.csv", index=False)
    stem = "results/smoke/figures/error-histogram"
    copy.snakemake("--allowed-rules", "figure_error_histogram", "--", f"{stem}.png")
    assert (copy.root / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert (copy.root / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(copy.root / f"{stem}.csv")) == 120
