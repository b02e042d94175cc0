"""Fit a SNAP potential to the labels that the networks learn from."""

from extensive.io import read_json, read_structures
from extensive.keys import STRUCTURE_ID, TRAIN
from extensive.peers import snap
from extensive.peers.sheets import timed
from logged import logged

with logged(snakemake):
    members = set(read_json(snakemake.input.splits)[TRAIN])
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    training = [atoms for atoms in structures if atoms.info[STRUCTURE_ID] in members]
    params, output = snakemake.params, snakemake.output
    with timed(output.training, snakemake.threads):
        snap.train(training, params.settings, params.folder, output.coefficients, output.parameters)
