"""What a command must not load, so that it starts soon: seconds of libraries that it does not use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "tests" / "files" / "hexagonal-60-hbn.cif"
# ASE asks an installed GPAW for its file format, which loads the bare package; what calculates is in these.
GPAW = {"gpaw.calculator", "gpaw.new", "gpaw.utilities", "gpaw.cgpaw"}
WORKFLOW = {"snakemake", "jsonschema", "yaml", "pandas", "matplotlib", "h5py", "PIL", *GPAW}
TELL = """
import json, sys
from extensive.cli import main
status = main({arguments!r})
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """Names of all modules that a command has loaded when it is done."""
    script = TELL.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    return set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["check", "--help"]])
def test_help_loads_no_library_of_numbers(arguments):
    modules = loaded(*arguments)
    assert "extensive.cli.app" in modules
    assert not modules & {"torch", "numpy", "scipy", "ase", *WORKFLOW}
    assert not {name for name in modules if name.split(".")[0] == "extensive"} - {
        "extensive",
        "extensive.errors",
        "extensive.cli",
        "extensive.cli.app",
        "extensive.cli.data",
        "extensive.cli.models",
    }


@pytest.mark.medium
def test_predict_loads_what_it_computes_with_and_no_more(tmp_path):
    modules = loaded("predict", str(SHEET), str(tmp_path / "out.extxyz"))
    assert {"torch", "ase.io", "extensive.inference.calculator"} <= modules
    assert not modules & WORKFLOW
    assert not modules & {"torch._dynamo", "torch._inductor", "sympy", "tensorboard"}
    rooms = {name.split(".")[1] for name in modules if name.startswith("extensive.")}
    assert not rooms & {"reference", "training", "evaluation", "timing", "figures", "peers", "config"}
