"""Train one network on labelled sheets."""

import sys
from pathlib import Path

import torch

from extensive.errors import InputError
from extensive.io import read_json, read_structures
from extensive.training.fit import train_model

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
try:
    train_model(
        snakemake.wildcards.model,
        snakemake.params.model,
        [atoms for path in snakemake.input.structures for atoms in read_structures(path)],
        read_json(snakemake.input.splits),
        Path(snakemake.output.weights).with_suffix(""),
        snakemake.output.curve,
        snakemake.params.device,
        snakemake.input.get("images", []),
        snakemake.params.checkpoints,
    )
except InputError as error:
    sys.exit(f"train: {error}")
