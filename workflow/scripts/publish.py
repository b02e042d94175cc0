"""Copy a run's results to results/published and its claims table into the README."""

import sys
from pathlib import Path

from extensive.errors import InputError
from extensive.evaluation.publish import publish

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
if not snakemake.params.production:
    sys.exit(
        "publish: reference.dft differs from the published labels' settings; publish a run of config.yaml or paper.yaml"
    )
params = snakemake.params
try:
    for path in publish(Path("results") / params.run, params.published, params.readme, params.left_out):
        print(path, file=sys.stderr)
except InputError as error:
    sys.exit(f"publish: {error}")
