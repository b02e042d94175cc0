"""Compute what a figure needs of images or networks."""

import sys

import torch

from extensive.errors import InputError
from extensive.figures import network_data

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
files = {name: path for name, path in snakemake.input.items() if name != "code"}
try:
    if snakemake.rule == "figure_data_inputs":
        image = (snakemake.params.pixel_size_A, snakemake.params.sigma_A)
        network_data.write_inputs(files, snakemake.output[0], *image)
    elif snakemake.rule == "figure_data_kernel":
        network_data.write_kernel(files["weights"], files["structures"], snakemake.output[0])
    elif snakemake.rule == "figure_data_tiles":
        network_data.write_tiles(files["weights"], files["structures"], snakemake.output[0])
    else:
        models = dict(zip(snakemake.params.models, files["weights"], strict=True))
        network_data.write_networks(models, snakemake.output[0])
except InputError as error:
    sys.exit(f"{snakemake.rule}: {error}")
