"""Every script writes its rule's log, by one wrapper."""

import ast
import contextlib
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from taught_sheets import sheet

from extensive.io import write_structures

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "workflow" / "scripts"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "logged")
# A script as Snakemake runs it: with an object `snakemake` before its first line.
PREAMBLE = f"""
import sys
from types import SimpleNamespace
sys.path.append({str(FOLDER)!r})
snakemake = SimpleNamespace(rule="train", log=["rule.log"], threads=1)
from extensive.errors import InputError
from logged import logged
"""


def run(folder: Path, work: str) -> tuple[int, str, str]:
    """Exit status, what was printed, and the log, of a script."""
    program = f"{PREAMBLE}\n{work}"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, (folder / "rule.log").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_work_of_a_script_is_within_the_wrapper(name):
    text = (FOLDER / f"{name}.py").read_text()
    *before, work = ast.parse(text).body
    assert isinstance(work, ast.With)
    (item,) = work.items
    assert isinstance(item.context_expr, ast.Call)
    assert item.context_expr.func.id == "logged"
    for node in before[1:]:
        setting = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("os.environ")
        assert setting or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 45


def test_every_rule_with_a_script_declares_a_log_of_its_own(rules):
    assert {Path(rule["script"]).stem for rule in rules.values()} == set(SCRIPTS)
    logs = [rule["log"] for rule in rules.values()]
    assert all(len(log) == 1 for log in logs)
    names = [log[0] for log, name in zip(logs, rules) if not name.endswith("_mpi")]
    assert len(set(names)) == len(names)


def test_what_is_printed_goes_to_the_log(tmp_path):
    work = """
import os, subprocess, warnings
with logged(snakemake):
    print("said")
    print("complained", file=sys.stderr)
    warnings.warn("warned")
    os.write(2, b"of a library\\n")
    subprocess.run(["sh", "-c", "echo of a child; echo its complaint >&2"])
"""
    status, printed, log = run(tmp_path, work)
    assert (status, printed) == (0, "")
    for part in ("said", "complained", "UserWarning: warned", "of a library", "of a child", "its complaint"):
        assert part in log


def test_what_was_given_wrong_is_one_line(tmp_path):
    work = 'with logged(snakemake):\n    raise InputError("models.ednn: no\\n such thing")'
    assert run(tmp_path, work) == (1, "", "train: models.ednn: no such thing\n")


def test_a_data_set_without_labels_has_no_images_and_stops_no_training(tmp_path, monkeypatch):
    """Where labels that the archive lacks are left out, all of a data set may be."""
    monkeypatch.setitem(sys.modules, "logged", SimpleNamespace(logged=lambda snakemake: contextlib.nullcontext()))
    images = [tmp_path / name for name in ("some.h5", "none.h5")]
    for path, structures in zip(images, ([sheet(0)], []), strict=True):
        write_structures(tmp_path / "labelled.extxyz", structures)
        raster = {"channels": "Z", "pixel_size_A": 0.4, "sigma_A": 0.5, "multiple_px": 2}
        given, params = SimpleNamespace(structures=tmp_path / "labelled.extxyz"), SimpleNamespace(raster=raster)
        snakemake = SimpleNamespace(input=given, output=[path], params=params)
        runpy.run_path(str(FOLDER / "rasterize.py"), {"snakemake": snakemake})
    snakemake = mock.MagicMock()
    snakemake.input.get.return_value = images
    with mock.patch("extensive.training.launch.launch") as launch:
        runpy.run_path(str(FOLDER / "train.py"), {"snakemake": snakemake})
    assert launch.call_args.args[0]["image_files"] == images[:1]


def test_another_failure_leaves_its_traceback_unless_the_script_expects_it(tmp_path):
    work = 'with logged(snakemake{}):\n    raise OverflowError("too large")'
    status, printed, log = run(tmp_path, work.format(""))
    assert (status, printed) == (1, "")
    assert log.startswith("Traceback")
    assert "OverflowError: too large" in log
    assert run(tmp_path, work.format(", OverflowError")) == (1, "", "train: too large\n")


def test_a_log_is_begun_anew_unless_attempts_are_to_be_kept(tmp_path):
    work = "with logged(snakemake, append={}):\n    print({})"
    assert run(tmp_path, work.format(False, 1))[2] == "1\n"
    assert run(tmp_path, work.format(False, 2))[2] == "2\n"
    assert run(tmp_path, work.format(True, 3))[2] == "2\n3\n"


@pytest.mark.medium
def test_torch_has_the_threads_of_the_rule(tmp_path):
    work = "import torch\nsnakemake.threads = 3\nwith logged(snakemake):\n    print(torch.get_num_threads())"
    assert run(tmp_path, work)[2] == "3\n"


@pytest.mark.medium
def test_numbers_that_processors_are_slow_with_are_zero_on_all_threads(tmp_path):
    work = """
import torch
snakemake.threads = 3
with logged(snakemake):
    large = torch.full((1_000_000,), 1e-30, requires_grad=True)
    small = large * 1e-10
    (small * 1e-30).sum().backward()
    print(small.max().item(), large.grad.max().item())"""
    assert run(tmp_path, work)[2] == "0.0 0.0\n"
