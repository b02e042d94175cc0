"""Draw one figure from the run's files."""

import importlib

from extensive.figures import style
from logged import logged

with logged(snakemake):
    module = importlib.import_module(f"extensive.figures.{snakemake.params.module}")
    files = {name: path for name, path in snakemake.input.items() if name != "code"}
    drawing = module.from_files(**files, **snakemake.params.get("settings", {}))
    out = snakemake.output
    style.save(drawing, out.pdf, out.png, out.csv, out.numbers)
