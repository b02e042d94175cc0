"""Fit a UF3 potential to the labels that the networks learn from."""

from extensive.keys import TRAIN
from extensive.peers import uf3
from extensive.peers.sheets import structures_of, timed
from logged import logged

with logged(snakemake):
    training = structures_of(snakemake.input.splits, snakemake.input.structures, [TRAIN])[TRAIN]
    output = snakemake.output
    with timed(output.training, snakemake.threads):
        uf3.train(training, snakemake.params.settings, output.potential, output.model)
