"""Predict one set of structures with one model."""

import sys

import torch

from extensive.components import ENERGY, with_target
from extensive.errors import InputError
from extensive.evaluation import predict, write_evaluation
from extensive.io import read_json, read_structures
from extensive.keys import DATASET, STRUCTURE_ID, TRAIN
from extensive.models import load_model
from extensive.training.fit import choose
from extensive.training.splits import learns_from

torch.set_num_threads(snakemake.threads)
try:
    members = read_json(snakemake.input.splits)[snakemake.wildcards.set]
    structures = {
        atoms.info[STRUCTURE_ID]: atoms for path in snakemake.input.structures for atoms in read_structures(path)
    }
    training = read_json(snakemake.input.description)["metadata"]["training"]
    if snakemake.wildcards.set == TRAIN:  # what this network learned from
        exclude = training.get("exclude", ())
        members = [member for member in members if learns_from(structures[member].info.get(DATASET, ""), exclude)]
        members = choose(members, training.get("labels"), training["seed"])
    wanted = set(members)
    chosen = [atoms for member, atoms in structures.items() if member in wanted]
    target = training.get("target", ENERGY)
    potential = load_model(snakemake.input.weights)
    table = predict(potential, with_target(chosen, target), snakemake.params.symmetric)
    write_evaluation(table, snakemake.output.predictions, snakemake.output.metrics)
except InputError as error:
    sys.exit(f"evaluate: {error}")
