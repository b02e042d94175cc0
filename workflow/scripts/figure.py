"""Draw one figure from the run's files."""

import importlib

from extensive.evaluation.predictions import students_shown
from extensive.figures import style
from logged import logged

with logged(snakemake):
    module = importlib.import_module(f"extensive.figures.{snakemake.params.module}")
    files = {name: path for name, path in snakemake.input.items() if name != "code"}
    drawing = module.from_files(**files, **snakemake.params.get("settings", {}))
    taught = students_shown(snakemake.config["models"], snakemake.input)
    if taught:
        style.said_below(drawing, f"Learned from labels by trained networks, not from DFT's alone: {', '.join(taught)}")
    out = snakemake.output
    style.save(drawing, out.pdf, out.png, out.csv, out.numbers)
