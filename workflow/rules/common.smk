"""What every rule file uses: the checked configuration, the run's folder, and the code that a stage depends on."""

import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
# The package is used from the source tree, also where it is not installed (a conda environment on a node).
sys.path.insert(0, str(ROOT / "src"))
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([str(ROOT / "src"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
)

from extensive.config import complete_config
from extensive.errors import InputError

try:
    # In place: rules and captions read `config`, and Snakemake keeps that very object.
    config.update(complete_config(config, source="config"))
except InputError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{config['run']}"
# Networks run on a GPU where the configuration asks for one; see profiles/ for how a site grants it.
TORCH_ENV = "../../envs/torch-cuda.yaml" if config["device"] == "cuda" else "../../envs/torch-cpu.yaml"


def code(*stages: str) -> list[str]:
    """Package modules that a stage's result depends on, as input files.

    Snakemake tracks the script of a rule but not what it imports; naming the modules as inputs makes an edit
    rerun the stage that uses them, and what follows, and nothing else. `stages` are names of modules or folders of
    the package, without suffix.
    """
    package = ROOT / "src" / "extensive"
    files = []
    for stage in stages:
        path = package / stage
        if path.is_dir():
            files += sorted(path.rglob("*.py"))
        elif path.with_suffix(".py").is_file():
            files.append(path.with_suffix(".py"))
        else:
            raise WorkflowError(f"code({stage!r}): src/extensive has no such module or folder")
    return [str(file.relative_to(ROOT)) for file in files]


def growing(amount):
    """A resource that every attempt at a job asks for more of: an amount, or a function of wildcards that gives it."""
    first = amount if callable(amount) else (lambda wildcards: amount)
    return lambda wildcards, attempt: attempt * first(wildcards)


wildcard_constraints:
    dataset=r"[a-z0-9][a-z0-9-]*",
    model=r"[a-z0-9][a-z0-9-]*",
    set=r"[a-z0-9][a-z0-9-]*",
    figure=r"[a-z0-9][a-z0-9-]*",
    chunk=r"\d+",


localrules:
    all,
