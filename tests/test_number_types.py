"""Number types: what auto means, what bfloat16 rounds, and what is said of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from extensive.errors import InputError
from extensive.inference import Engine, number_types
from extensive.inference.number_types import choose, native_bfloat16
from extensive.inference.rounding import measure_rounding
from extensive.io import read_json, read_structures, write_json
from extensive.models import load_model
from extensive.models.files import rounding_file, weights_digest
from extensive.timing.networks import timing_cell

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "results/published/models"
LABELS = ROOT / "results/published/labels"


@pytest.fixture
def model(tmp_path) -> Path:
    for end in (".pt", ".json"):
        shutil.copy(MODELS / f"ednn{end}", tmp_path)
    return tmp_path / "ednn"


def rounding_of(model: Path, mean: float) -> None:
    values = {"weights_sha256": weights_digest(model), "structures": 9, "error_meV_per_atom": 0.5}
    write_json(rounding_file(model), values | {"bfloat16_mean_meV_per_atom": mean, "bfloat16_largest_meV_per_atom": 1})


@pytest.mark.parametrize(
    ("native", "mean", "expected"), [(True, 0.09, "bfloat16"), (True, 0.11, "float32"), (False, 0.09, "float32")]
)
def test_auto_is_bfloat16_where_the_device_has_it_and_it_rounds_little(model, monkeypatch, native, mean, expected):
    monkeypatch.setattr(number_types, "native_bfloat16", lambda device: native)
    rounding_of(model, mean)
    engine = Engine(load_model(model))
    assert engine.dtype_name == expected
    assert engine.why == (
        f"bfloat16 rounds by {mean:g} meV/atom where the error is 0.5" if native else "this processor has no bfloat16"
    )


def test_what_was_measured_of_other_weights_or_not_at_all_does_not_count(model, monkeypatch):
    monkeypatch.setattr(number_types, "native_bfloat16", lambda device: True)
    assert choose("auto", load_model(model)) == (
        "float32",
        "what bfloat16 rounds has not been measured on these weights",
    )
    rounding_of(model, 0.01)
    file = rounding_file(model)
    write_json(file, read_json(file) | {"weights_sha256": "0" * 64})
    assert load_model(model).rounding is None
    write_json(file, measure_rounding(model, []))
    assert choose("auto", load_model(model))[0] == "float32"


def test_a_type_that_is_asked_for_is_taken_and_an_unknown_one_refused(model):
    potential = load_model(model)
    assert choose("bfloat16", potential) == ("bfloat16", "as asked for")
    assert number_types.chosen(["float32", "float64", "float32"], potential) == ["float32", "float64"]
    with pytest.raises(InputError, match=r"dtype: 'half'; it must be one of auto, float32, bfloat16, float64"):
        Engine(potential, "half")


def test_the_processor_is_asked_for_its_own_arithmetic():
    flags = Path("/proc/cpuinfo")
    if not flags.is_file() or "flags" not in flags.read_text():
        pytest.skip("needs /proc/cpuinfo of an x86 processor")
    words = set(flags.read_text().split())
    assert native_bfloat16("cpu") == bool(words & {"avx512_bf16", "amx_bf16"})


@pytest.mark.medium
def test_bfloat16_rounds_the_published_network_by_less_than_a_fifth_of_its_error():
    names = ("hbn-rattle", "heterostructure-rattle", "porous-rattle")
    structures = [atoms for name in names for atoms in read_structures(LABELS / f"{name}.extxyz.gz")[:3]]
    found = measure_rounding(MODELS / "ednn", structures)
    assert found["structures"] == 9
    potential = load_model(MODELS / "ednn")
    published = read_json(rounding_file(MODELS / "ednn"))
    assert 0 < found["bfloat16_mean_meV_per_atom"] < number_types.LARGEST_SHARE * published["error_meV_per_atom"]
    # Layers that see the image's own numbers, or that the energy is read from, are not rounded.
    network = Engine(potential, "bfloat16").grid(timing_cell((5, 3), 0).cell.lengths()[:2]).network
    assert {layer.weight.dtype for layer in [*network.stem, *network.head, network.last]} == {torch.float32}
    assert {spatial.weight.dtype for spatial, _ in network.blocks} == {torch.bfloat16}
    atoms = structures[0]
    energies = [Engine(potential, name).energy(atoms) for name in ("float32", "bfloat16")]
    assert np.ptp(energies) > 0
