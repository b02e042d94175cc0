"""Mean and spread of several trainings' predictions."""

import pandas as pd

from extensive.evaluation.studies import ensemble
from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    table = ensemble([pd.read_csv(path) for path in snakemake.input.predictions])
    with atomic_path(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")
