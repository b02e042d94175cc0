"""Make the Ising lattices of one size, with their energies."""

import sys

import numpy as np

from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.structures.ising import generate_ising

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
try:
    lattices = generate_ising(snakemake.params.spec, snakemake.params.seed)
    with atomic_path(snakemake.output[0]) as temporary:
        np.savez_compressed(temporary, **lattices)
except InputError as error:
    sys.exit(f"structures: {error}")
