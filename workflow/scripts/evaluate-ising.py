"""Predict the lattices of one size with the Ising network."""

import numpy as np

from extensive.evaluation.predict import write_evaluation
from extensive.models import load_model
from extensive.training.ising import predict_ising
from logged import logged

with logged(snakemake):
    lattices = dict(np.load(snakemake.input.lattices))
    table = predict_ising(load_model(snakemake.input.weights), lattices, snakemake.params.held_back)
    write_evaluation(table, snakemake.output.predictions, snakemake.output.metrics)
