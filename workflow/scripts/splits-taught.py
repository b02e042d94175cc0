"""Add structures that a teacher labelled to the sets of the others, and check that the division is honest."""

from extensive.io import read_json, read_structures, write_json
from extensive.training.splits import assign_taught, check_honest
from logged import logged

with logged(snakemake):
    computed, taught = (
        [atoms for path in paths for atoms in read_structures(path)]
        for paths in (snakemake.input.computed, snakemake.input.structures)
    )
    splits = assign_taught(read_json(snakemake.input.splits), taught, **snakemake.params.rule)
    check_honest(splits, [*computed, *taught])
    write_json(snakemake.output[0], splits)
