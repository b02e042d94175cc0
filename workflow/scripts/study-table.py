"""Table of a study: errors of its members by set."""

from extensive.config.trainings import Member
from extensive.evaluation import studies
from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    members = [Member(**values) for values in snakemake.params.members]
    metrics = iter(snakemake.input.metrics)
    files = [{part: next(metrics) for part in sets} for sets in snakemake.params.sets]
    table = studies.collect(members, snakemake.input.descriptions, files)
    with atomic_path(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")
