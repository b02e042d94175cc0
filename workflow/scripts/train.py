"""Train one network on labelled sheets, on as many GPUs as the job was given."""

import sys
from pathlib import Path

import torch

from extensive.errors import InputError
from extensive.training.launch import launch

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
job = {
    "name": snakemake.wildcards.model,
    "model": snakemake.params.model,
    "structures": list(snakemake.input.structures),
    "splits": snakemake.input.splits,
    "path": Path(snakemake.output.weights).with_suffix(""),
    "curve": snakemake.output.curve,
    "device": snakemake.params.device,
    "image_files": list(snakemake.input.get("images", [])),
    "checkpoints": snakemake.params.checkpoints,
}
try:
    launch(job, processes=snakemake.resources.get("gpu", 1))
except InputError as error:
    sys.exit(f"train: {error}")
