"""Divide the labelled structures among the sets, and check that the division is honest."""

from extensive.io import read_structures, write_json
from extensive.training.splits import assign_sets, check_honest
from logged import logged

with logged(snakemake):
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    splits = assign_sets(structures, **snakemake.params.rule)
    check_honest(splits, structures)
    write_json(snakemake.output[0], splits)
