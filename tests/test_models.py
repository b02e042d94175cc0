"""Networks are extensive, and the same function tiled and fused."""

import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms

from extensive.errors import InputError
from extensive.images.raster import batch_from_atoms
from extensive.models import CNN, EDNN, ModelConfig, Potential, build_model
from extensive.models.functions import wrap_pad
from extensive.models.layers import receptive_field
from extensive.models.tiles import cut_tiles

ELEMENTS = ("B", "C", "N")
SMALL = ModelConfig(
    network="ednn",
    form="convolutional",
    channels=ELEMENTS,
    pitch_channels=True,
    focus_px=8,
    stem=((6, 4, 2), (8, 4, 2)),
    width=8,
    blocks=2,
    head=(6,),
)
STEMS = {
    "stride 4": SMALL,
    "stride 8": dataclasses.replace(SMALL, stem=((4, 4, 2), (6, 4, 2), (8, 4, 2)), focus_px=16, blocks=1),
    "patches": dataclasses.replace(SMALL, stem=((8, 8, 8),), focus_px=8),
    "odd": dataclasses.replace(SMALL, stem=((8, 5, 3),), focus_px=6),
    "density": dataclasses.replace(SMALL, readout="density"),
    "charge-equilibration": dataclasses.replace(SMALL, readout="charge-equilibration"),
    "mirrors": dataclasses.replace(SMALL, symmetry="mirrors", stem=((8, 4, 2),), head=(4,)),
    "square": dataclasses.replace(SMALL, symmetry="square", stem=((8, 4, 2), (8, 4, 2)), head=(8,)),
    "dilated": dataclasses.replace(SMALL, blocks=3, dilations=(1, 3, 2), inner_widths=(8, 4, 6)),
    "gated": dataclasses.replace(SMALL, gated=True, inner_widths=(16, 6)),
}


def ready(config, seed=0, dtype=torch.float64):
    """A network with every parameter away from zero, as after training."""
    torch.manual_seed(seed)
    network = build_model(config).to(dtype)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    network.standardize.mean.fill_(0.1)
    network.standardize.std.fill_(0.5)
    return network


def picture(height, width, batch=2, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, 3, height, width, dtype=torch.float64, generator=generator)
    return images.to(dtype), (0.3 * torch.randn(batch, 2, dtype=torch.float64, generator=generator)).to(dtype)


def sheet(count=20, cell=(6.4, 8.0), seed=0, symbols=ELEMENTS):
    rng = np.random.default_rng(seed)
    positions = np.c_[rng.random((count, 2)) * cell, np.full(count, 5.0)]
    return Atoms(list(rng.choice(symbols, count)), positions=positions, cell=[*cell, 10], pbc=(True, True, False))


def potential(config=SMALL, **more):
    return Potential(ready(config), {"B": -1.0, "C": -2.0, "N": -3.0}, energy_scale_eV=1.7, **more)


@pytest.mark.parametrize(("before", "after"), [(3, 3), (2, 5), (11, 40), (0, 1)])
def test_wrap_pad_is_periodic(before, after):
    image = torch.arange(2 * 6 * 8, dtype=torch.float64).view(1, 2, 6, 8)
    padded = wrap_pad(image, before, after)
    assert padded.shape[-2:] == (6 + before + after, 8 + before + after)
    for y, x in [(0, 0), (before + after + 5, before), (before, before + after + 7)]:
        assert padded[0, 1, y, x] == image[0, 1, (y - before) % 6, (x - before) % 8]


def test_tiles_hold_focus_and_context():
    image, _ = picture(12, 8, batch=1)
    tiles = cut_tiles(image, 4, 3)
    assert tiles.shape == (1, 6, 3, 10, 10)
    torch.testing.assert_close(tiles[0, 3, :, 3:7, 3:7], image[0, :, 4:8, 4:8], rtol=0, atol=0)
    assert tiles[0, 0, 0, 0, 0] == image[0, 0, -3, -3]
    with pytest.raises(InputError, match="whole number of tiles"):
        cut_tiles(image, 5, 3)


@pytest.mark.parametrize("name", STEMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_tiled_equals_fused(name, dtype, tolerance):
    network = ready(STEMS[name], dtype=dtype)
    f = network.focus_px
    images, pitch = picture(3 * f, 4 * f, dtype=dtype)
    with torch.no_grad():
        tiled = network.tile_energies(images, pitch, "tiled")
        scale = tiled.abs().max()
        other = network.tile_energies(images, pitch, "fused")
        assert other.shape == (2, 3, 4)
        assert (tiled - other).abs().max() < tolerance * scale
        parts = network.tile_parts(images, pitch, "tiled")
        padded = network.tile_parts_from_padded(wrap_pad(images, network.context_px), pitch)
        assert padded.shape[-2:] == parts.shape[-2:] == (3, 4)
        assert (padded - parts).abs().max() < tolerance * parts.abs().max()
        total = network(images, pitch, "fused")
        torch.testing.assert_close(network(images, pitch, "tiled"), total, rtol=tolerance, atol=tolerance)


def test_strips_and_chunks_change_nothing(monkeypatch):
    network = ready(SMALL)
    images, pitch = picture(40, 32)
    with torch.no_grad():
        whole = network(images, pitch, "fused"), network(images, pitch, "tiled")
        monkeypatch.setattr("extensive.models.ednn.CHUNK_PX", 600)
        pieces = network(images, pitch, "fused"), network(images, pitch, "tiled")
    torch.testing.assert_close(pieces, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", STEMS)
def test_context_is_exactly_what_a_focus_sees(name):
    network = ready(STEMS[name])
    f, c = network.focus_px, network.context_px
    n = 2 * (c // f + 1) + 1  # the middle tile and its context fit inside without wrapping
    images, pitch = picture(n * f, n * f, batch=1)
    images.requires_grad_()
    middle = n // 2
    network.tile_parts(images, pitch, "fused")[0, :, middle, middle].sum().backward()
    seen = images.grad[0].abs().sum(0) > 0
    rows, columns = torch.where(seen.any(1))[0], torch.where(seen.any(0))[0]
    first, last = middle * f - c, middle * f + f + c - 1
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (first, last, first, last)


def test_weights_of_before_there_was_shear_are_read():
    network = ready(SMALL)
    before = {
        name: part[:, :2] if name.endswith("film.weight") else part for name, part in network.state_dict().items()
    }
    again = build_model(SMALL).double()
    again.load_state_dict(before)
    images, pitch = picture(16, 16)
    assert torch.equal(again(images, pitch), network(images, pitch))


def test_receptive_field_by_hand():
    # 4x4 stride 2 sees 4; again: 4 + 3 * 2 = 10; 3x3 at stride 4: 10 + 2 * 4 = 18.
    assert receptive_field([(4, 2), (4, 2), (3, 1)]) == (18, 4)
    # Taps 3 pixels apart at stride 4: 10 + 2 * 3 * 4.
    dilated = build_model(dataclasses.replace(SMALL, blocks=1, dilations=(3,)))
    assert dilated.tile_network.receptive_field() == (34, 4)


@pytest.mark.parametrize("form", ["convolutional", "mlp", "paper"])
def test_energy_doubles_with_the_cell_and_ignores_shifts_by_tiles(form):
    small = dataclasses.replace(SMALL, form=form, focus_px=8, context_px=None if form == "convolutional" else 8)
    network = ready(small)
    images, pitch = picture(16, 24)
    with torch.no_grad():
        energy = network(images, pitch)
        assert energy.dtype == torch.float64
        for repeats in ((1, 1, 2, 1), (1, 1, 1, 3)):
            repeated = network(images.repeat(*repeats), pitch)
            torch.testing.assert_close(repeated, energy * max(repeats), rtol=1e-12, atol=1e-12)
        shifted = network(images.roll((8, -16), (2, 3)), pitch)
        torch.testing.assert_close(shifted, energy, rtol=1e-12, atol=1e-12)
        assert (network(images.flip(3), pitch) - energy).abs().max() > 1e-9  # and it is not blind


def islands(network):
    """Images of two islands of 16 pixels, of one, of the other and of none, and a pitch.

    They are so far apart, also across the boundary, that no patch sees both.
    """
    gap, f = 2 * network.context_px + network.stride, network.focus_px
    side = -(-2 * (16 + gap) // f) * f
    left = torch.zeros(1, 3, f * 6, side, dtype=torch.float64)
    right = left.clone()
    left[..., 16:32, :16] = picture(16, 16, batch=1)[0]
    right[..., 16:32, 16 + gap : 32 + gap] = picture(16, 16, batch=1, seed=5)[0]
    return (left + right, left, right, 0 * left), torch.zeros(1, 2, dtype=torch.float64)


@pytest.mark.parametrize("readout", ["plain", "density"])
def test_separated_parts_add_up(readout):
    network = ready(dataclasses.replace(SMALL, readout=readout))
    network.standardize.mean.zero_()
    images, pitch = islands(network)
    with torch.no_grad():
        both, one, two, none = (network(image, pitch) for image in images)
    torch.testing.assert_close(both - none, (one - none) + (two - none), rtol=1e-11, atol=1e-11)
    if readout == "density":
        assert none.item() == 0.0


@pytest.mark.parametrize("readout", ["plain", "charge-equilibration"])
def test_forces_are_minus_the_gradient(readout):
    model, atoms = potential(dataclasses.replace(SMALL, readout=readout)), sheet()
    energy, (forces,) = model.energies_and_forces([atoms])
    assert energy[0] == pytest.approx(model.energies([atoms])[0], abs=1e-10)
    assert not forces[:, 2].any()
    step = 1e-4
    for i, axis in [(0, 0), (3, 1), (11, 0)]:
        moved = [atoms.copy(), atoms.copy()]
        moved[0].positions[i, axis] += step
        moved[1].positions[i, axis] -= step
        up, down = model.energies(moved)
        assert forces[i, axis] == pytest.approx(-(up - down) / (2 * step), rel=1e-5, abs=1e-7)


def test_training_on_forces_reaches_every_weight():
    model = potential()
    cell = (6.5, 8.1)  # not a whole number of pixels, so that the pitch matters
    batch = batch_from_atoms([sheet(cell=cell)], torch.float64)
    _, forces = model.energy_and_forces(batch, model.image_shape(cell), create_graph=True)
    forces.square().sum().backward()
    silent = [
        name
        for name, parameter in model.network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == ["tile_network.head.1.conv.bias"]  # a constant has no force


def test_potential_of_many_sheets_is_that_of_each():
    model = potential()
    sheets = [sheet(20, (6.4, 8.0), 1), sheet(31, (9.6, 4.8), 2), sheet(20, (6.4, 8.0), 3)]
    sheets[0].positions[0] += [6.4, -16.0, 0]  # outside the cell
    together, forces = model.energies_and_forces(sheets, batch_atoms=25)
    for atoms, energy, force in zip(sheets, together, forces):
        alone, (expected,) = model.energies_and_forces([atoms])
        assert energy == pytest.approx(alone[0], abs=1e-9)
        np.testing.assert_allclose(force, expected, atol=1e-9)
    doubled = sheets[0].repeat((2, 1, 1))
    assert model.energies([doubled])[0] == pytest.approx(2 * together[0], abs=1e-8)


def test_bfloat16_networks_keep_their_atoms_in_place():
    model, sheets = potential(), [sheet(seed=seed, symbols=("C",)) for seed in range(4)]
    exact = model.energies(sheets)
    model.network.to(torch.bfloat16)
    rounded = model.energies(sheets)
    assert 0 < np.abs(rounded - exact).max() < 0.1 * np.ptp(exact)


def test_reference_energies_are_summed():
    model, atoms = potential(), sheet()
    with torch.no_grad():
        model.network.tile_network.head[-1].conv.weight.zero_()
        model.network.tile_network.head[-1].conv.bias.zero_()
    counts = [atoms.symbols.count(symbol) for symbol in ELEMENTS]
    assert model.energies([atoms])[0] == pytest.approx(-1.0 * counts[0] - 2.0 * counts[1] - 3.0 * counts[2])
    with pytest.raises(InputError, match="must be 0 for an ednn"):
        potential(energy_shift_eV=1.0)


def test_unknown_elements_are_refused():
    model = Potential(ready(dataclasses.replace(SMALL, channels="Z")), {"C": -2.0})
    with pytest.raises(InputError, match="knows \\['C'\\]"):
        model.energies([sheet(symbols=("C", "O"))])


def test_paper_network_has_the_papers_parameters():
    network = build_model(ModelConfig(network="cnn", form="paper", image_px=128))
    by_hand = (
        (64 * 1 * 9 + 64)  # 128 -> 64
        + (64 * 64 * 9 + 64)  # -> 32
        + (16 * 64 * 16 + 16)
        + 5 * (16 * 16 * 16 + 16)
        + (64 * 16 * 9 + 64)  # -> 16
        + (32 * 64 * 9 + 32)
        + 3 * (32 * 32 * 9 + 32)
        + (32 * 16 * 16 * 1024 + 1024)
        + (1024 + 1)
    )
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand == 8_520_673
    assert len(network.network.convolutions) == 13
    ising = build_model(ModelConfig(network="ednn", form="mlp", focus_px=4, context_px=1))
    assert sum(p.numel() for p in ising.parameters()) == 36 * 36 + 36 + 36 * 32 + 32 + 32 + 1
    assert ising(torch.ones(3, 1, 8, 8)).shape == (3,)


def test_convolutional_cnn_is_periodic_and_fixed_in_size():
    config = dataclasses.replace(SMALL, network="cnn", image_px=32)
    network = ready(config)
    images, pitch = picture(32, 32)
    assert isinstance(network, CNN)
    energy = network(images, pitch)
    torch.testing.assert_close(network(images.roll((4, -8), (2, 3)), pitch), energy)
    with pytest.raises(InputError, match="takes 32 a side"):
        network(picture(32, 40)[0], pitch)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("form", ["open", "averaged"])
def test_open_cnn_gives_energy_and_separation(dims, form):
    config = ModelConfig("cnn", form, image_px=12, dims=dims, outputs=2, stem=((4, 3, 2), (8, 3, 2)), head=(16,))
    assert build_model(config)(torch.rand(5, 1, *[12] * dims)).shape == (5, 2)


def test_averaged_features_are_the_same_wherever_a_dimer_lies():
    """By a whole step of the layers away from the walls; where features are told apart by place, they are not."""
    image = torch.zeros(1, 1, 32, 32)
    image[..., 12:15, 12:14] = torch.rand(3, 2, generator=torch.Generator().manual_seed(0))
    moved = image.roll((4, 4), (2, 3))
    for form, same in (("averaged", True), ("open", False)):
        torch.manual_seed(0)
        config = ModelConfig("cnn", form, image_px=32, outputs=2, stem=((4, 3, 2), (8, 3, 2)), head=(16,))
        network = build_model(config)
        assert torch.allclose(network(image), network(moved), atol=1e-6) == same


def test_paper_tiles_cannot_be_fused():
    network = ready(dataclasses.replace(SMALL, form="paper", context_px=8))
    images, pitch = picture(16, 16)
    with pytest.raises(InputError, match="use mode 'tiled'") as caught:
        network(images, pitch, "fused")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focus_px": 6}, "focus_px: 6"),
        ({"context_px": 9}, "see exactly 11"),
        ({"stem": ((6, 5, 2), (8, 4, 2))}, "kernel 5 with stride 2"),
        ({"width": 9}, "must be the blocks' width"),
        ({"form": "mlp"}, "needs both"),
        ({"dilations": (1,)}, "must be 2 numbers of at least 1, one a block"),
        ({"dilations": (1, 0)}, "must be 2 numbers of at least 1, one a block"),
        ({"inner_widths": (8, 5), "gated": True}, "gated blocks halve them, so they must be even"),
        ({"inner_widths": (8, 8, 8)}, "model inner_widths: .* must be 2 numbers of at least 1, one a block"),
    ],
)
def test_layers_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        EDNN(dataclasses.replace(SMALL, **change))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"form": "paper"}, "'network' is missing"),
        ({"network": "gnn", "form": "paper"}, "'gnn'"),
        ({"network": "cnn", "form": "mlp", "image_px": 64}, "'mlp'"),
        ({"network": "cnn", "form": "paper"}, "image_px"),
        ({"network": "ednn", "form": "paper", "stem": 3}, "stem|not iterable"),
    ],
)
def test_configurations_of_no_network_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        ModelConfig.from_dict(values, "models.x")
