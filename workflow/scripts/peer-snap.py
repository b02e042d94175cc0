"""Fit a SNAP potential to the labels that the networks learn from."""

from extensive.keys import TRAIN
from extensive.peers import snap
from extensive.peers.sheets import structures_of, timed
from logged import logged

with logged(snakemake):
    training = structures_of(snakemake.input.splits, snakemake.input.structures, [TRAIN])[TRAIN]
    params, output = snakemake.params, snakemake.output
    with timed(output.training, snakemake.threads):
        snap.train(training, params.settings, params.folder, output.coefficients, output.parameters)
