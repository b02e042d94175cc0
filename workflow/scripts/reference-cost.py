"""Tables of what the labels cost and of those that failed."""

import sys

from extensive.errors import InputError
from extensive.io import atomic_path, read_structures
from extensive.reference.chunks import read_failures, write_failures
from extensive.reference.cost import cost_table

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
try:
    labelled = [atoms for path in snakemake.input.labelled for atoms in read_structures(path)]
    with atomic_path(snakemake.output.cost) as temporary:
        cost_table(labelled).to_csv(temporary, index=False, float_format="%.6g")
    write_failures(snakemake.output.failed, [row for path in snakemake.input.failed for row in read_failures(path)])
except InputError as error:
    sys.exit(f"cost: {error}")
