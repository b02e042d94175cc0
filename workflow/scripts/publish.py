"""Copy a run's results to results/published and its claims table to a page of the documentation."""

from pathlib import Path

from extensive.errors import InputError
from extensive.evaluation.publish import publish
from logged import logged

with logged(snakemake):
    if not snakemake.params.production:
        raise InputError("reference.dft differs from the published labels' settings; publish a run of published.yaml")
    params = snakemake.params
    for path in publish(Path("results") / params.run, params.published, params.page, params.left_out):
        print(path)
