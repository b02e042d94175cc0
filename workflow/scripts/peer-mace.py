"""Train a small MACE model on the labels that the networks learn from."""

from extensive.io import read_json, read_structures
from extensive.keys import STRUCTURE_ID, TRAIN, VALIDATION
from extensive.peers import mace
from logged import logged

with logged(snakemake, append=True):
    splits = read_json(snakemake.input.splits)
    structures = {
        atoms.info[STRUCTURE_ID]: atoms for path in snakemake.input.structures for atoms in read_structures(path)
    }
    params = snakemake.params
    parts = [[structures[name] for name in splits[part] if name in structures] for part in (TRAIN, VALIDATION)]
    mace.train(*parts, params.settings, params.folder, snakemake.output.model, params.seed, snakemake.threads)
