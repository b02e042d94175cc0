"""What figures show of networks is what the networks do."""

import numpy as np
import pytest
import torch

from extensive.errors import InputError
from extensive.figures import network_data
from extensive.io import write_structures
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.structures import lattices

REFERENCES = {"C": -9.0, "B": -8.0, "N": -8.5}
CONFIGS = {
    "cnn-paper": ModelConfig("cnn", "paper", image_px=64),
    "cnn-convolutional": ModelConfig(
        "cnn", "convolutional", channels=("B", "C", "N"), pitch_channels=True, image_px=64
    ),
    "ednn-paper": ModelConfig("ednn", "paper", focus_px=32, context_px=16),
    "ednn-convolutional": ModelConfig(
        "ednn", "convolutional", channels=("B", "C", "N"), pitch_channels=True, focus_px=8, readout="density"
    ),
    "ednn-mirrors": ModelConfig(
        "ednn", "convolutional", channels=("B", "C", "N"), pitch_channels=True, focus_px=8, symmetry="mirrors"
    ),
    "ednn-equilibrated": ModelConfig(
        "ednn",
        "convolutional",
        channels=("B", "C", "N"),
        pitch_channels=True,
        focus_px=8,
        readout="charge-equilibration",
    ),
}


def potential(name: str) -> Potential:
    torch.manual_seed(0)
    return Potential(build_model(CONFIGS[name]).eval(), REFERENCES, energy_scale_eV=2.0)


@pytest.fixture
def sheet():
    atoms = lattices.graphene((5, 3), 2.46)
    atoms.positions[:, :2] += np.random.default_rng(1).normal(scale=0.05, size=(60, 2))
    atoms.info["structure_id"] = "graphene-rattle-00000"
    return atoms


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("cnn")])
def test_a_kernels_numbers_give_the_layers_output(name, sheet):
    data = network_data.kernel_data(potential(name), sheet)
    total = (data["kernel"] * data["window"]).sum() + data["bias"] + data["rest"]
    assert total == pytest.approx(float(data["output"][data["row"], data["column"]]), rel=1e-5)
    row, column = data["corner"]
    size = len(data["kernel"])
    np.testing.assert_array_equal(data["image"][row : row + size, column : column + size], data["window"])


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("ednn")])
def test_tile_energies_and_references_add_up_to_the_energy(name, sheet):
    model = potential(name)
    data = network_data.tiles_data(model, sheet)
    total = data["tile_energies_eV"].sum() + 60 * REFERENCES["C"]
    if data["image"].shape == model.image_shape(np.diag(sheet.cell)):
        assert total == pytest.approx(model.energies([sheet])[0], abs=1e-4)
    assert data["image"].max() == pytest.approx(6.0, rel=0.15)  # Z of carbon at the atoms


def test_an_ednn_is_asked_for_tiles(sheet):
    with pytest.raises(InputError, match="needs an ednn"):
        network_data.tiles_data(potential("cnn-paper"), sheet)


@pytest.mark.parametrize("name", CONFIGS)
def test_layer_tables_hold_every_parameter_but_those_of_the_pitch(name):
    model = potential(name)
    table = network_data.network_layers(name, model)
    pitch = sum(p.numel() for key, p in model.network.named_parameters() if ".film." in key)
    in_blocks = sum(p.numel() for key, p in model.network.named_parameters() if ".film." in key and "blocks" in key)
    listed = sum(layer["parameters"] for layer in table["layers"])
    assert listed == table["parameters"] - pitch + in_blocks


def test_the_papers_network_has_thirteen_convolutions_and_two_dense_layers():
    kinds = [layer["kind"] for layer in network_data.network_layers("cnn", potential("cnn-paper"))["layers"]]
    assert kinds == ["input", *["conv"] * 13, "dense", "dense"]


@pytest.mark.parametrize(("name", "sums"), [("ednn-paper", 1), ("ednn-convolutional", 1), ("ednn-equilibrated", 3)])
def test_what_is_summed_over_tiles_is_counted(name, sums, tmp_path):
    figures = pytest.importorskip("extensive.figures.networks")
    network = network_data.network_layers(name, potential(name))
    assert (network["layers"][-1]["kind"], network["layers"][-1]["channels"]) == ("sum", sums)
    texts = [text.get_text() for text in figures.draw([network]).figure.axes[0].texts]
    assert ("sum over\nall tiles" if sums == 1 else f"{sums} sums over\nall tiles") in texts


def test_an_input_image_shows_each_atom_with_its_charge(sheet, tmp_path):
    image, cell = network_data.plane_image(sheet, 0.1, 0.2)
    pixel = cell[0] / image.shape[1] * cell[1] / image.shape[0]
    assert image.sum() * pixel == pytest.approx(60 * 6 * 2 * np.pi * 0.2**2, rel=1e-4)


@pytest.mark.medium
def test_files_are_what_the_figures_read(sheet, tmp_path):
    figures = pytest.importorskip("extensive.figures.networks")
    from extensive.figures import inputs, kernel, tiles

    write_structures(tmp_path / "s.extxyz", [sheet])
    for name in ("cnn-paper", "ednn-convolutional"):
        save_model(tmp_path / name, potential(name))
    structures = str(tmp_path / "s.extxyz")
    network_data.write_inputs({"stone-wales": structures}, tmp_path / "inputs.npz", 0.2, 0.2)
    network_data.write_kernel(tmp_path / "cnn-paper.pt", structures, tmp_path / "kernel.npz")
    network_data.write_tiles(tmp_path / "ednn-convolutional.pt", structures, tmp_path / "tiles.npz")
    models = {name: tmp_path / f"{name}.pt" for name in ("cnn-paper", "ednn-convolutional")}
    network_data.write_networks(models, tmp_path / "networks.json")
    assert inputs.from_files(str(tmp_path / "inputs.npz")).numbers["stone-wales"]["pixels"] == [64, 62]
    assert kernel.from_files(str(tmp_path / "kernel.npz")).numbers["size"] == 3
    assert tiles.from_files(str(tmp_path / "tiles.npz")).numbers["structure_id"] == "graphene-rattle-00000"
    assert set(figures.from_files(str(tmp_path / "networks.json")).numbers) == set(models)
