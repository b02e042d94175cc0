"""Draw one figure from the run's files."""

import importlib
import sys

from extensive.errors import InputError
from extensive.figures import style

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
module = importlib.import_module(f"extensive.figures.{snakemake.params.module}")
files = {name: path for name, path in snakemake.input.items() if name != "code"}
try:
    drawing = module.from_files(**files, **snakemake.params.get("settings", {}))
    out = snakemake.output
    style.save(drawing, out.pdf, out.png, out.csv, out.numbers)
except InputError as error:
    sys.exit(f"figure {snakemake.params.module}: {error}")
