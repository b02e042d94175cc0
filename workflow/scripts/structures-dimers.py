"""Make one data set of Lennard-Jones dimers."""

import sys

from extensive.errors import InputError
from extensive.io import write_structures
from extensive.structures.dimers import generate_dimers

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
try:
    write_structures(
        snakemake.output[0],
        generate_dimers(snakemake.wildcards.dataset, snakemake.params.spec, snakemake.params.seed),
    )
except InputError as error:
    sys.exit(f"structures: {error}")
