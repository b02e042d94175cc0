"""Table of the convergence study."""

import sys

from extensive.errors import InputError
from extensive.io import atomic_path, read_structures
from extensive.reference import convergence
from extensive.reference.settings import DFTSettings

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
production = DFTSettings.from_config(snakemake.params.dft)
try:
    points = convergence.points(snakemake.params.study, production)
    labelled = [read_structures(path) for path in snakemake.input.labelled]
    rows = convergence.table(points, [convergence.by_dataset(atoms) for atoms in labelled])
    for output in snakemake.output:
        with atomic_path(output) as temporary:
            rows.to_csv(temporary, index=False, float_format="%.6g")
except InputError as error:
    sys.exit(f"convergence: {error}")
