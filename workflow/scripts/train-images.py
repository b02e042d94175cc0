"""Train one network on a file of images with energies, test and time it."""

import sys
from pathlib import Path

import torch

from extensive.errors import InputError
from extensive.evaluation.predict import write_evaluation
from extensive.timing.images import time_images
from extensive.training.image_files import train_on_images

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
params, out = snakemake.params, snakemake.output
try:
    table = train_on_images(
        snakemake.wildcards.model,
        params.model,
        snakemake.input.images,
        params.splits,
        params.seed,
        Path(out.weights).with_suffix(""),
        out.curve,
        params.device,
        params.checkpoints,
    )
    write_evaluation(table, out.test, out.test_metrics)
    time_images(out.weights, snakemake.input.images, params.repeats, out.timings)
except InputError as error:
    sys.exit(f"train: {error}")
