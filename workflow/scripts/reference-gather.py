"""Join the chunks of one data set."""

import sys

from extensive.errors import InputError
from extensive.reference.chunks import gather

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
spec = snakemake.params.spec
frames = spec["md"]["frames"] if spec["sampler"] == "md" else 1
try:
    gather(
        snakemake.input.labelled,
        snakemake.input.failed,
        snakemake.output.labelled,
        snakemake.output.failed,
        expected=spec["count"] * frames,
    )
except InputError as error:
    sys.exit(f"label: {error}")
