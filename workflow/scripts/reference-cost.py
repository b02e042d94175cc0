"""Tables of the run's labels, of what they cost and of those that failed."""

from extensive.io import atomic_path, read_structures
from extensive.reference.chunks import read_failures, write_failures
from extensive.reference.cost import cost_table, labels_table
from logged import logged

with logged(snakemake):
    labels = labels_table([atoms for path in snakemake.input.labelled for atoms in read_structures(path)])
    for table, path in ((labels, snakemake.output.labels), (cost_table(labels), snakemake.output.cost)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    write_failures(snakemake.output.failed, [row for path in snakemake.input.failed for row in read_failures(path)])
