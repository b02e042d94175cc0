"""Table of a study: errors of its members by set."""

import sys

from extensive.errors import InputError
from extensive.evaluation import studies
from extensive.io import atomic_path

members = [studies.Member(**values) for values in snakemake.params.members]
metrics = iter(snakemake.input.metrics)
files = [{part: next(metrics) for part in sets} for sets in snakemake.params.sets]
try:
    table = studies.collect(members, snakemake.input.descriptions, files)
except InputError as error:
    sys.exit(f"study: {error}")
with atomic_path(snakemake.output[0]) as temporary:
    table.to_csv(temporary, index=False, float_format="%.9g")
