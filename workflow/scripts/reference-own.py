"""Take a user's own labelled structures as a data set."""

import sys

from extensive.errors import InputError
from extensive.io import write_structures
from extensive.reference.chunks import write_failures
from extensive.structures.user_files import read_labelled

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
spec, dataset = snakemake.params.spec, snakemake.wildcards.dataset
try:
    structures = read_labelled(
        snakemake.input.files, dataset, snakemake.params.with_forces, spec.get("family"), spec.get("sampler")
    )
    write_structures(snakemake.output.structures, structures)
    write_structures(snakemake.output.labelled, structures)
    write_failures(snakemake.output.failed, [])
except InputError as error:
    sys.exit(f"own labels: {error}")
