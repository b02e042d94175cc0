"""Predict one set of structures with one model."""

from extensive.evaluation.predict import predict, write_evaluation
from extensive.io import read_json, read_structures
from extensive.keys import DATASET, STRUCTURE_ID, TRAIN
from extensive.models import load_model
from extensive.training.fit import learned_from
from extensive.training.settings import TrainingSettings
from extensive.training.targets import ENERGY, with_target
from logged import logged

with logged(snakemake):
    members = read_json(snakemake.input.splits)[snakemake.wildcards.set]
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    training = read_json(snakemake.input.description)["metadata"]["training"]
    if snakemake.wildcards.set == TRAIN:
        dataset = {atoms.info[STRUCTURE_ID]: atoms.info.get(DATASET, "") for atoms in structures}
        members = learned_from(members, dataset, TrainingSettings.from_dict(training))
    wanted = set(members)
    chosen = [atoms for atoms in structures if atoms.info[STRUCTURE_ID] in wanted]
    target = training.get("target", ENERGY)
    potential = load_model(snakemake.input.weights)
    table = predict(potential, with_target(chosen, target), snakemake.params.symmetric)
    write_evaluation(table, snakemake.output.predictions, snakemake.output.metrics)
