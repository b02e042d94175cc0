"""Train a MACE model on the labels that the networks learn from."""

from pathlib import Path

from extensive.io import read_json, write_json
from extensive.keys import TRAIN, VALIDATION
from extensive.peers import mace
from extensive.peers.sheets import structures_of, timed
from logged import logged

with logged(snakemake, append=True):
    params = snakemake.params
    parts = structures_of(snakemake.input.splits, snakemake.input.structures, (TRAIN, VALIDATION))
    record = Path(params.folder) / "seconds.json"
    with timed(record, snakemake.threads):
        mace.train(
            *parts.values(), params.settings, params.folder, snakemake.output.model, params.seed, snakemake.threads
        )
    write_json(snakemake.output.training, read_json(record))
