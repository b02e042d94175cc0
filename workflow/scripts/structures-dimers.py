"""Make one data set of Lennard-Jones dimers."""

from extensive.io import write_structures
from extensive.structures.dimers import generate_dimers
from logged import logged

with logged(snakemake):
    write_structures(
        snakemake.output[0],
        generate_dimers(snakemake.wildcards.dataset, snakemake.params.spec, snakemake.params.seed),
    )
