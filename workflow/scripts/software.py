"""Versions that this run's labels and models say they come from."""

from pathlib import Path

from extensive.evaluation.software import software_table
from extensive.io import atomic_path, read_json, read_structures
from logged import logged

with logged(snakemake):
    labelled = [atoms for path in snakemake.input.get("labelled", []) for atoms in read_structures(path)]
    models = {Path(path).stem: read_json(path) for path in snakemake.input.get("models", [])}
    with atomic_path(snakemake.output[0]) as temporary:
        software_table(labelled, models, snakemake.params.workflow).to_csv(temporary, index=False)
