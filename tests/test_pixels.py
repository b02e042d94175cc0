"""Sheets on sheared pixels: `predict` says where the network's training met no such ones."""

import dataclasses

import ase.io
import numpy as np
import pytest
from own_models import rattled, write_model

from extensive.cli import main
from extensive.inference.pixels import beyond_training
from extensive.models import load_model
from extensive.structures.lattices import graphene

SHEETS = [graphene((1, 1), cell={"chiral": [n, 1]}) for n in (2, 3, 4)]


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "tiny")


def on(steps: list[list[float]], potential) -> str:
    """What is said of a sheet on pixels of these steps, in units of their size."""
    sheet = dataclasses.replace(potential.lay(SHEETS[0]), pixels_A=potential.config.pixel_size_A * np.array(steps))
    return beyond_training(sheet, potential)


def test_shears_are_met_by_trainings_that_rotate(model):
    potential = load_model(model)
    sheared, more = [[1, 0.03], [0.03, 1]], [[1, 0.1], [0.1, 1]]
    assert on(sheared, potential) == "its pixels are sheared by 3.0 %, in training by 0.0 % at most"
    potential.metadata["training"]["augmentation"]["rotation_deg"] = 60
    # 24 atoms, rounded to a pair of pixels: 0.4 A of 7.2.
    assert on(sheared, potential) == ""
    assert on(more, potential) == "its pixels are sheared by 10.0 %, in training by 6.0 % at most"
    del potential.metadata["cell_range_A"]
    assert on(more, potential) == ""


def test_pitch_counts_on_sheared_pixels_too(model):
    potential = load_model(model)
    assert on([[1.05, 0], [0, 0.96]], potential) == ""
    assert on([[1.2, 0], [0, 1]], potential).startswith("its pixels are 18.2 % off 0.4 A, in training 9.")
    assert beyond_training(potential.lay(rattled()), potential) == ""


def test_predict_says_it_once(model, tmp_path, capsys):
    potential = load_model(model)
    assert sum(bool(beyond_training(potential.lay(sheet), potential)) for sheet in SHEETS) > 1
    ase.io.write(tmp_path / "in.extxyz", SHEETS)
    assert main(["predict", str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz"), "--model", str(model)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("extensive: note: ")]
    assert len(notes) == 1
    assert "its pixels are sheared by" in notes[0]
    assert "structures are like that" in notes[0]
