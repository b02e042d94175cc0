"""Predictions of the parts of the energy, one below the other."""

import pandas as pd

from extensive.evaluation.predictions import read_predictions, write_predictions
from extensive.io import atomic_path
from logged import logged

with logged(snakemake):
    tables = [
        read_predictions(path, add_errors=False).assign(component=part)
        for part, path in zip(snakemake.params.parts, snakemake.input.predictions, strict=True)
    ]
    with atomic_path(snakemake.output[0]) as temporary:
        write_predictions(temporary, pd.concat(tables))
