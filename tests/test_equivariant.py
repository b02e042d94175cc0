"""Group-equivariant kernels: what a mirror does to the image it does to the features, and nothing to the energy."""

import dataclasses

import numpy as np
import pytest
import torch

from extensive.errors import InputError
from extensive.models import ModelConfig, Potential, build_model
from extensive.models.config import READOUTS, SYMMETRIES
from extensive.models.equivariant import GENERATORS, EquivariantConv, group_elements, quotients
from extensive.training.augment import Sheet, collate

SMALL = ModelConfig(
    network="ednn",
    form="convolutional",
    channels=("B", "C", "N"),
    pixel_size_A=0.4,
    sigma_A=0.5,
    pitch_channels=True,
    focus_px=4,
    stem=((8, 5, 1), (16, 4, 2)),
    width=16,
    blocks=2,
    dilations=(1, 2),
    head=(8,),
)
GATED = {"gated": True, "inner_widths": (32, 16)}
BOUND = [symmetry for symmetry in SYMMETRIES if symmetry != "none"]


def ready(symmetry, **changes):
    """A network with every parameter away from zero, as after training."""
    torch.manual_seed(0)
    network = build_model(dataclasses.replace(SMALL, symmetry=symmetry, **changes)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def difference(network, images, pitch, changed_images, changed_pitch):
    with torch.no_grad():
        return (network(changed_images, changed_pitch) / network(images, pitch) - 1).abs().max().item()


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_groups_are_groups(symmetry):
    group = group_elements(symmetry)
    assert len(group) == len({g.tobytes() for g in group}) == {"none": 1, "mirrors": 4, "square": 8}[symmetry]
    np.testing.assert_array_equal(group[0], np.eye(2))
    for g, row in zip(group, quotients(group), strict=True):
        for h, number in zip(group, row, strict=True):
            np.testing.assert_array_equal(g @ group[number], h)
    assert tuple(GENERATORS) == SYMMETRIES


@pytest.mark.parametrize("changes", [*({"readout": readout} for readout in READOUTS), GATED])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_energy_is_the_same_for_what_the_layers_are_tied_by_and_for_nothing_else(symmetry, changes):
    network = ready(symmetry, **changes)
    images, pitch = torch.rand(2, 3, 16, 12, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    sheared = pitch * torch.tensor([1.0, 1.0, -1.0])  # a mirror turns a shear round
    mirrored = [
        difference(network, images, pitch, images.flip(-1), sheared),
        difference(network, images, pitch, images.flip(-2), sheared),
    ]
    exchanged = difference(network, images, pitch, images.transpose(-1, -2), pitch[:, [1, 0, 2]])
    assert (max(mirrored) < 1e-12) == (symmetry != "none")
    assert (exchanged < 1e-12) == (symmetry == "square")
    for found in (*mirrored, exchanged):
        assert found < 1e-12 or found > 1e-6
    # It sees the pitch of each axis, and which way the shear goes.
    for wrong in (pitch, pitch[:, [1, 0, 2]]):
        assert difference(network, images, pitch, images.flip(-1), wrong) > 1e-6


@pytest.mark.parametrize("symmetry", BOUND)
def test_features_of_a_mirrored_image_are_mirrored_and_exchanged_within_their_sets(symmetry):
    group = group_elements(symmetry)
    layer = EquivariantConv(len(group), 2 * len(group), 3, 1, 1, symmetry).double()
    torch.nn.init.normal_(layer.free)
    torch.nn.init.normal_(layer.free_bias)
    table = quotients(group).tolist()
    number = next(i for i, g in enumerate(group) if np.array_equal(g, [[-1, 0], [0, 1]]))  # the mirror of x
    from_channel = torch.tensor(table[number])  # g -> m^-1 g
    x = torch.rand(1, len(group), 9, 9, dtype=torch.float64)
    found = layer(x.flip(-1)[:, from_channel]).unflatten(1, (2, -1))
    wanted = layer(x).flip(-1).unflatten(1, (2, -1))[:, :, from_channel]
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert layer.weight.numel() == len(group) * layer.free.numel()


@pytest.mark.parametrize("symmetry", BOUND)
def test_forces_of_a_mirrored_sheet_are_mirrored(symmetry):
    potential = Potential(ready(symmetry), dict.fromkeys(SMALL.channels, -1.0))
    rng = np.random.default_rng(3)
    cell = np.array([6.4, 8.0])
    here = Sheet(rng.random((20, 2)) * cell, rng.choice([5, 6, 7], 20), cell, 0.0)
    # Pixels lie at 0, 0.4, ...: a mirror half a pixel below the first leaves the grid and its pairs as they are.
    there = dataclasses.replace(here, positions=(here.positions * [-1, 1] - [0.4, 0]) % cell)
    found = []
    for sheet in (here, there):
        atoms = collate([sheet], torch.float64)
        atoms.positions.requires_grad_(True)
        energy = potential.network(potential.images(atoms, (20, 16)), potential.pitch(atoms, (20, 16)))
        found.append((energy.item(), torch.autograd.grad(energy.sum(), atoms.positions)[0]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1] * torch.tensor([-1.0, 1.0]), found[1][1], rtol=1e-5, atol=1e-6)


def test_channels_that_make_no_sets_and_networks_without_symmetry_are_refused():
    with pytest.raises(InputError, match=r"'square' makes sets of 8 channels; 12 is not a multiple"):
        build_model(dataclasses.replace(SMALL, symmetry="square", stem=((12, 4, 2),), width=12))
    with pytest.raises(InputError, match=r"only an ednn with tile_network: convolutional"):
        dataclasses.replace(SMALL, form="paper", context_px=4, symmetry="mirrors")
    with pytest.raises(InputError, match=r"model symmetry: 'cubic'; it must be one of"):
        dataclasses.replace(SMALL, symmetry="cubic")
