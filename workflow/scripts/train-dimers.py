"""Train the network of one data set of dimers, and predict its test and extrapolation sets."""

import sys
from pathlib import Path

import torch

from extensive.errors import InputError
from extensive.evaluation.predict import write_evaluation
from extensive.io import read_structures
from extensive.training.dimers import DimerSettings, train_dimers

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
torch.set_num_threads(snakemake.threads)
try:
    tables = train_dimers(
        f"cnn-{snakemake.wildcards.dataset}{snakemake.wildcards.replica}",
        read_structures(snakemake.input.structures),
        DimerSettings(**snakemake.params.settings),
        snakemake.params.seed,
        Path(snakemake.output.weights).with_suffix(""),
        snakemake.output.curve,
        snakemake.params.replica,
    )
    write_evaluation(tables["test"], snakemake.output.test, snakemake.output.test_metrics)
    write_evaluation(tables["extrapolation"], snakemake.output.outside, snakemake.output.outside_metrics)
except InputError as error:
    sys.exit(f"dimers: {error}")
