"""The papers' claims beside the run's numbers."""

import sys

from extensive.errors import InputError
from extensive.evaluation.claims import claims_table, write_claims

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
try:
    write_claims(snakemake.output[0], claims_table(**snakemake.params.settings))
except InputError as error:
    sys.exit(f"claims: {error}")
