"""What runs on a device that is not the CPU, where there is no GPU to try it on: every tensor lies where it is used."""

from concurrent.futures import Executor, Future
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from other_device import NAME, other_device
from own_models import write_model
from taught_sheets import curves_on, sheet
from test_stress_training import strained_sheets

from extensive.inference import AtomsSource, Engine, stream
from extensive.io import read_json
from extensive.models import functions, load_model
from extensive.paths import repository_root
from extensive.timing.networks import timing_cell
from extensive.training.augment import Augmentation
from extensive.training.data import ShapeRule, evaluation_batches, make_sheets, training_batches
from extensive.training.loop import _to, group_errors

MODELS = repository_root() / "results" / "published" / "models"


@pytest.fixture(autouse=True)
def _a_device(monkeypatch):
    # It pads as a GPU does.
    monkeypatch.setattr(functions, "GATHERS", ("cuda", NAME))
    with other_device():
        yield


def test_mixing_devices_is_noticed():
    there = torch.ones(3, device=NAME)
    assert (there + 1).device.type == NAME
    assert (there + 1).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="another device"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="another device"):
        there.index_select(0, torch.tensor([1]))
    with pytest.raises(RuntimeError, match="another device"):
        there.index_put((torch.tensor([1]),), torch.zeros(1))
    assert there[torch.tensor([1])].device.type == NAME


def test_energies_and_forces_of_the_published_network():
    structures = [timing_cell((5, 3), 1), timing_cell((7, 4), 1)]
    energies, forces = load_model(MODELS / "ednn", NAME).energies_and_forces(structures)
    here = load_model(MODELS / "ednn").energies_and_forces(structures)
    assert energies == pytest.approx(here[0], abs=1e-4)
    for one, other in zip(forces, here[1], strict=True):
        assert one == pytest.approx(other, abs=1e-4)


class _AtOnce(Executor):
    """What is submitted is done by the thread that submits it: another one knows of no stand-in."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.medium
def test_the_engine_whole_and_streamed(monkeypatch):
    monkeypatch.setattr(stream, "_pool", lambda workers: nullcontext(_AtOnce()))
    atoms = timing_cell((40, 24), 1)
    # In float64: processors sum convolutions in other orders, which float32 would show.
    expected = Engine(load_model(MODELS / "ednn"), "float64").energy(atoms)
    engine = Engine(load_model(MODELS / "ednn", NAME), "float64", device=NAME, block_px=64)
    assert engine.direct_energy(atoms) == pytest.approx(expected, abs=1e-3)
    assert stream.stream_energy(engine, AtomsSource(atoms)).energy_eV == pytest.approx(expected, abs=1e-3)


EQUILIBRATED = {"edge_charge_e": -0.3, "augmentation": {"rotation_deg": 60.0}}


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "change", "training"),
    [
        ("ednn", {"readout": "plain"}, {"optimizer": "adam", "augmentation": {"transpose": True}}),
        ("ednn", {"readout": "charge-equilibration"}, {"optimizer": "muon", **EQUILIBRATED}),
        ("cnn", {"image_px": 32}, {"optimizer": "adamw", "augmentation": None, "forces_weight": 0.0}),
    ],
)
def test_training_goes_the_same_way(tmp_path, name, change, training):
    model = read_json(MODELS / f"{name}.json")["model"] | change
    if name == "ednn":
        model |= {"blocks": 1, "dilations": None, "inner_widths": None}
    settings = {"samples": 8, "batch_size": 4, "learning_rate": 2e-3, "ema": 0.9, **training}
    structures = [sheet(i, family="hbn" if i % 2 else "graphene") for i in range(12)]
    curves = curves_on(("cpu", NAME), structures, name, {**model, "training": settings}, tmp_path)
    here, there = (curve.drop(columns="seconds") for curve in curves.values())
    pd.testing.assert_frame_equal(there, here, rtol=1e-3)


def test_stress_of_upright_rotated_and_sheared_batches(tmp_path):
    potentials = [load_model(write_model(tmp_path / "m", exchange=False), device) for device in ("cpu", NAME)]
    sheets = make_sheets(strained_sheets(2), {"C": -9.0}, True, lay=potentials[0].lay, with_stress=True)
    rule, rotated = ShapeRule(potentials[0].config.pixel_size_A, 2), Augmentation(rotation_deg=90.0)
    upright = [sheet for sheet in sheets if sheet.periods is None]
    turned = [next(training_batches(upright, 1, rotated, rule, np.random.default_rng(seed)))[0] for seed in range(4)]
    batches = [*evaluation_batches(sheets, rule)], [group for groups in turned for group in groups]
    assert all({group.torus is None for group in groups} == {True, False} for groups in batches)
    for group in [*batches[0], *batches[1]]:
        here, there = (
            group_errors(potential, _to(group, torch.device(device)), training=True)
            for potential, device in zip(potentials, ("cpu", NAME), strict=True)
        )
        assert there.stress.device.type == NAME
        assert there.stress.tolist() == [pytest.approx(errors, abs=1e-5) for errors in here.stress.tolist()]
        there.stress.square().sum().backward()
