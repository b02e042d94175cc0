"""Predict one set of structures with one model."""

import sys

import torch

from extensive.components import ENERGY, with_target
from extensive.errors import InputError
from extensive.evaluation import predict, write_evaluation
from extensive.io import read_json, read_structures
from extensive.keys import STRUCTURE_ID
from extensive.models import load_model

torch.set_num_threads(snakemake.threads)
try:
    members = set(read_json(snakemake.input.splits)[snakemake.wildcards.set])
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    chosen = [atoms for atoms in structures if atoms.info[STRUCTURE_ID] in members]
    target = read_json(snakemake.input.description)["metadata"]["training"].get("target", ENERGY)
    potential = load_model(snakemake.input.weights)
    table = predict(potential, with_target(chosen, target), snakemake.params.symmetric)
    write_evaluation(table, snakemake.output.predictions, snakemake.output.metrics)
except InputError as error:
    sys.exit(f"evaluate: {error}")
