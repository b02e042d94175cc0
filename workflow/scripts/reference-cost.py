"""Tables of what the labels cost and of those that failed."""

from extensive.io import atomic_path, read_structures
from extensive.reference.chunks import read_failures, write_failures
from extensive.reference.cost import cost_table
from logged import logged

with logged(snakemake):
    labelled = [atoms for path in snakemake.input.labelled for atoms in read_structures(path)]
    with atomic_path(snakemake.output.cost) as temporary:
        cost_table(labelled).to_csv(temporary, index=False, float_format="%.6g")
    write_failures(snakemake.output.failed, [row for path in snakemake.input.failed for row in read_failures(path)])
