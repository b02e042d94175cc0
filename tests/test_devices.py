"""What runs on a device that is not the CPU, where there is no GPU to try it on: every tensor lies where it is used."""

from concurrent.futures import Executor, Future
from contextlib import nullcontext

import pandas as pd
import pytest
import torch
from other_device import NAME, other_device
from taught_sheets import curves_on, sheet

from extensive.inference import AtomsSource, Engine, stream
from extensive.io import read_json
from extensive.models import functions, load_model
from extensive.paths import repository_root
from extensive.timing.networks import timing_cell

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
