"""Mean and spread of several trainings' predictions."""

from extensive.evaluation.predictions import read_predictions, write_predictions
from extensive.evaluation.studies import ensemble
from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    table = ensemble([read_predictions(path) for path in snakemake.input.predictions])
    with atomic_path(snakemake.output[0]) as temporary:
        write_predictions(temporary, table)
