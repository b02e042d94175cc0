"""Divide the labelled structures among the sets, and check that the division is honest."""

import sys

from extensive.errors import InputError
from extensive.io import read_structures, write_json
from extensive.training.splits import assign_sets, check_honest

try:
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    splits = assign_sets(structures, **snakemake.params.rule)
    check_honest(splits, structures)
    write_json(snakemake.output[0], splits)
except InputError as error:
    sys.exit(f"splits: {error}")
