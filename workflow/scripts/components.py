"""Predictions of the parts of the energy, one below the other."""

import pandas as pd

from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    tables = [
        pd.read_csv(path).assign(component=part)
        for part, path in zip(snakemake.params.parts, snakemake.input.predictions, strict=True)
    ]
    with atomic_path(snakemake.output[0]) as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.9g")
