"""What the claims on accuracy would be from other seeds."""

from extensive.evaluation.claims import seeds_table
from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    table = seeds_table(snakemake.params.trainings)
    with atomic_path(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")
