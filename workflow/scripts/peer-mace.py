"""Train a MACE model on the labels that the networks learn from."""

from pathlib import Path

from extensive.io import read_json, read_structures, write_json
from extensive.keys import STRUCTURE_ID, TRAIN, VALIDATION
from extensive.peers import mace
from extensive.peers.sheets import timed
from logged import logged

with logged(snakemake, append=True):
    splits = read_json(snakemake.input.splits)
    structures = {
        atoms.info[STRUCTURE_ID]: atoms for path in snakemake.input.structures for atoms in read_structures(path)
    }
    params = snakemake.params
    parts = [[structures[name] for name in splits[part] if name in structures] for part in (TRAIN, VALIDATION)]
    record = Path(params.folder) / "seconds.json"
    with timed(record, snakemake.threads):
        mace.train(*parts, params.settings, params.folder, snakemake.output.model, params.seed, snakemake.threads)
    write_json(snakemake.output.training, read_json(record))
