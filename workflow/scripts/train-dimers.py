"""Train the network of one data set of dimers, and predict its test and extrapolation sets."""

from pathlib import Path

from extensive.evaluation.predict import write_evaluation
from extensive.io import read_structures
from extensive.training.dimers import DimerSettings, train_dimers
from logged import logged

with logged(snakemake):
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
