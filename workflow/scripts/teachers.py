"""Table of labels by trained networks, and of the networks that learned from them."""

from pathlib import Path

from extensive.io import atomic_path, read_structures
from extensive.teaching.table import teachers_table
from logged import logged

with logged(snakemake):
    labelled = {Path(path).stem: read_structures(path) for path in snakemake.input.labelled}
    table = teachers_table(labelled, snakemake.input.students)
    with atomic_path(snakemake.output[0]) as path:
        table.to_csv(path, index=False, float_format="%.5g")
