"""Table of the convergence study."""

from extensive.io import atomic_path, read_structures
from extensive.reference import convergence
from extensive.reference.settings import DFTSettings
from logged import logged

with logged(snakemake):
    production = DFTSettings.from_config(snakemake.params.dft)
    points = convergence.points(snakemake.params.study, production)
    labelled = [read_structures(path) for path in snakemake.input.labelled]
    rows = convergence.table(points, [convergence.by_dataset(atoms) for atoms in labelled])
    for output in snakemake.output:
        with atomic_path(output) as temporary:
            rows.to_csv(temporary, index=False, float_format="%.6g")
