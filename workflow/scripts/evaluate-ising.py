"""Predict the lattices of one size with the Ising network."""

import sys

import numpy as np
import torch

from extensive.errors import InputError
from extensive.evaluation.predict import write_evaluation
from extensive.models import load_model
from extensive.training.ising import predict_ising

torch.set_num_threads(snakemake.threads)
try:
    lattices = dict(np.load(snakemake.input.lattices))
    table = predict_ising(load_model(snakemake.input.weights), lattices, snakemake.params.held_back)
    write_evaluation(table, snakemake.output.predictions, snakemake.output.metrics)
except InputError as error:
    sys.exit(f"ising: {error}")
