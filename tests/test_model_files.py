"""Networks are the same after a round trip through files, and damaged files are refused."""

import json
import pickle

import numpy as np
import pytest
import torch
from ase import Atoms

from extensive.errors import InputError
from extensive.io import file_digest
from extensive.models import ModelConfig, Potential, build_model, load_model, save_model

ELEMENTS = ("B", "C", "N")
SMALL = ModelConfig(
    "ednn", "convolutional", channels=ELEMENTS, pitch_channels=True, width=8, stem=((8, 4, 2),), blocks=1
)


def sheet():
    rng = np.random.default_rng(0)
    positions = np.c_[rng.random((20, 2)) * (6.4, 8.0), np.full(20, 5.0)]
    return Atoms(list(rng.choice(ELEMENTS, 20)), positions=positions, cell=[6.4, 8.0, 10], pbc=(True, True, False))


def potential(**more):
    torch.manual_seed(0)
    network = build_model(SMALL).double()
    return Potential(network, {"B": -1.0, "C": -2.0, "N": -3.0}, energy_scale_eV=1.7, **more)


def test_files_round_trip(tmp_path):
    model = potential(metadata={"lattice_A": [2.4, 2.6]})
    save_model(tmp_path / "ednn", model, {"data_digest": "abc"})
    again = load_model(tmp_path / "ednn.pt")
    assert again.config == model.config
    assert again.metadata == {"lattice_A": [2.4, 2.6], "data_digest": "abc"}
    for key, value in model.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], value.float(), rtol=0, atol=0)
    assert again.energies([sheet()])[0] == pytest.approx(model.energies([sheet()])[0], abs=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ednn.json", "ednn.pt"]


def rewrite(path, **changes):
    """Change the metadata, keeping the digest right for whatever the weights' file now is."""
    values = json.loads((path / "m.json").read_text())
    (path / "m.json").write_text(json.dumps(values | {"weights_sha256": file_digest(path / "m.pt")} | changes))


class Hostile:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


@pytest.mark.parametrize("damage", ["truncated", "hostile", "other", "not-json", "no-key", "missing", "units", "nan"])
def test_damaged_models_are_refused_in_one_line(tmp_path, damage):
    save_model(tmp_path / "m", potential())
    weights, description = tmp_path / "m.pt", tmp_path / "m.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(InputError, match="sha256"):
            load_model(weights)
        rewrite(tmp_path)
    elif damage == "hostile":
        weights.write_bytes(pickle.dumps(Hostile(), protocol=2))
        rewrite(tmp_path)
    elif damage == "other":
        values = json.loads(description.read_text())
        rewrite(tmp_path, model=values["model"] | {"head": [7]})
    elif damage == "not-json":
        description.write_text("{")
    elif damage == "no-key":
        values = json.loads(description.read_text())
        del values["reference_energies_eV"]
        description.write_text(json.dumps(values))
    elif damage == "missing":
        weights.unlink()
    elif damage == "units":
        rewrite(tmp_path, units={"energy": "Ry"})
    else:
        rewrite(tmp_path, energy_scale_eV=float("nan"))
    with pytest.raises(InputError, match=r"m\.(pt|json)") as caught:
        load_model(weights)
    assert "\n" not in str(caught.value)


def test_equal_weights_are_equal_files(tmp_path):
    network = build_model(ModelConfig("ednn", "convolutional", channels=("C",), width=8, stem=((8, 2, 2),), blocks=1))
    potential = Potential(network, {"C": -1.0})
    for name in ("first", "second-name"):
        save_model(tmp_path / name, potential)
    assert (tmp_path / "first.pt").read_bytes() == (tmp_path / "second-name.pt").read_bytes()
