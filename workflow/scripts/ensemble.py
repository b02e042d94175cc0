"""Mean and spread of several trainings' predictions."""

import sys

import pandas as pd

from extensive.errors import InputError
from extensive.evaluation.studies import ensemble
from extensive.io import atomic_path

try:
    table = ensemble([pd.read_csv(path) for path in snakemake.input.predictions])
except InputError as error:
    sys.exit(str(error))
with atomic_path(snakemake.output[0]) as temporary:
    table.to_csv(temporary, index=False, float_format="%.9g")
