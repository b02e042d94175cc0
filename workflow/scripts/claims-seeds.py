"""What the claims on accuracy would be from other seeds."""

import sys

from extensive.errors import InputError
from extensive.evaluation.claims import seeds_table
from extensive.io import atomic_path

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
try:
    table = seeds_table(snakemake.params.trainings)
except InputError as error:
    sys.exit(f"claims: {error}")
with atomic_path(snakemake.output[0]) as temporary:
    table.to_csv(temporary, index=False, float_format="%.4g")
