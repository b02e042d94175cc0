"""Train the Ising network on lattices of one size."""

import sys
from pathlib import Path

import numpy as np
import torch

from extensive.errors import InputError
from extensive.training.ising import IsingSettings, train_ising

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
try:
    train_ising(
        dict(np.load(snakemake.input.lattices)),
        IsingSettings(**snakemake.params.settings),
        snakemake.params.seed,
        Path(snakemake.output.weights).with_suffix(""),
        snakemake.output.curve,
    )
except InputError as error:
    sys.exit(f"ising: {error}")
