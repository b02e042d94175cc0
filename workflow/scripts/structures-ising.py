"""Make the Ising lattices of one size, with their energies."""

import numpy as np

from extensive.io import atomic_path
from extensive.structures.ising import generate_ising
from logged import logged

with logged(snakemake):
    lattices = generate_ising(snakemake.params.spec, snakemake.params.seed)
    with atomic_path(snakemake.output[0]) as temporary:
        np.savez_compressed(temporary, **lattices)
