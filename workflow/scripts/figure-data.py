"""Compute what a figure needs of images or networks."""

import sys

import torch

from extensive import figure_data
from extensive.errors import InputError

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
files = {name: path for name, path in snakemake.input.items() if name != "code"}
try:
    if snakemake.rule == "figure_data_inputs":
        image = (snakemake.params.pixel_size_A, snakemake.params.sigma_A)
        figure_data.write_inputs(files, snakemake.output[0], *image)
    elif snakemake.rule == "figure_data_kernel":
        figure_data.write_kernel(files["weights"], files["structures"], snakemake.output[0])
    elif snakemake.rule == "figure_data_tiles":
        figure_data.write_tiles(files["weights"], files["structures"], snakemake.output[0])
    else:
        models = dict(zip(snakemake.params.models, files["weights"], strict=True))
        figure_data.write_networks(models, snakemake.output[0])
except InputError as error:
    sys.exit(f"{snakemake.rule}: {error}")
