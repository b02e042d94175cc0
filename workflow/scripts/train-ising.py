"""Train the Ising network on lattices of one size."""

from pathlib import Path

import numpy as np

from extensive.training.ising import IsingSettings, train_ising
from logged import logged

with logged(snakemake):
    train_ising(
        dict(np.load(snakemake.input.lattices)),
        IsingSettings(**snakemake.params.settings),
        snakemake.params.seed,
        Path(snakemake.output.weights).with_suffix(""),
        snakemake.output.curve,
    )
