"""Make one data set of sheets."""

from extensive.io import write_structures
from extensive.structures.datasets import generate_dataset
from logged import logged

with logged(snakemake):
    write_structures(
        snakemake.output[0],
        generate_dataset(
            snakemake.wildcards.dataset,
            snakemake.params.spec,
            snakemake.params.seed,
            snakemake.params.lattice_constants,
        ),
    )
