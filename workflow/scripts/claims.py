"""The papers' claims beside the run's numbers."""

from extensive.evaluation.claims import claims_table, write_claims
from logged import logged

with logged(snakemake):
    write_claims(snakemake.output[0], claims_table(**snakemake.params.settings))
