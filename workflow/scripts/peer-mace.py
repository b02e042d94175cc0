"""Train a MACE model on the labels that the networks learn from."""

from extensive.io import write_json
from extensive.keys import TRAIN, VALIDATION
from extensive.peers import mace
from extensive.peers.sheets import structures_of
from logged import logged

with logged(snakemake, append=True):
    params = snakemake.params
    parts = structures_of(snakemake.input.splits, snakemake.input.structures, (TRAIN, VALIDATION))
    training = mace.train(
        *parts.values(), params.settings, params.folder, snakemake.output.model, params.seed, snakemake.threads
    )
    write_json(snakemake.output.training, training)
