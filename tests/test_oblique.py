"""A rotated sheet is the same sheet: images, energies and forces on grids that it is rotated against."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from extensive.errors import InputError
from extensive.images.oblique import SkewAxes, Torus, pixel_features, rasterize_oblique, torus_of, twisted_index
from extensive.images.raster import pitch_features, rasterize_batch
from extensive.models import ModelConfig, Potential, build_model
from extensive.models.functions import wrap_pad
from extensive.training.augment import Augmentation, Sheet, collate, draw_angle
from extensive.training.data import ShapeRule, training_batches
from extensive.training.loop import group_errors
from extensive.training.rotate import cell_vectors, choose_vectors, polar, rotated, rotated_batch
from extensive.training.settings import TrainingSettings

PIXEL_A, SIGMA_A, CHANNELS = 0.4, 0.5, ("B", "C", "N")


def sheet(seed=0, cell=(12.3, 12.78), count=60):
    rng = np.random.default_rng(seed)
    return Sheet(
        positions=rng.random((count, 2)) * cell,
        numbers=rng.choice([5, 6, 7], count),
        cell=np.array(cell),
        energy_eV=-3.0,
        forces=rng.standard_normal((count, 2)),
    )


def network(dilations=None, readout="plain", symmetry="none"):
    config = ModelConfig(
        "ednn", "convolutional", channels=CHANNELS, pixel_size_A=PIXEL_A, sigma_A=SIGMA_A, pitch_channels=True,
        focus_px=8, stem=((8, 4, 2),), width=8, blocks=2, head=(8,), dilations=dilations, readout=readout,
        symmetry=symmetry,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build_model(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Potential(model, {"B": -1.0, "C": -2.0, "N": -3.0})


@pytest.mark.parametrize(
    "vectors", [[[32, 0], [0, 30]], [[16, 26], [-22, 12]], [[0, 30], [-32, 0]], [[15, 9], [-6, 21]]]
)
def test_a_torus_has_the_area_and_the_periods_of_its_vectors(vectors):
    torus = torus_of(np.array(vectors))
    height, width = torus.shape
    (x1, y1), (x2, y2) = vectors
    assert height * width == abs(x1 * y2 - x2 * y1)
    for x, y in vectors:
        assert y % height == 0
        assert (x - y // height * torus.twist) % width == 0


def test_what_rounding_leaves_below_a_boundary_keeps_its_place():
    """One period up is further along x by the twist: an atom must not have the y of one and the x of the other."""
    axes = SkewAxes(Torus((40, 60), 13), np.array([[0.21, 0.004], [0.004, 0.2]]))
    width, height = axes.cell
    corners = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    ups = np.array([[0.0, 0.0], [axes.twist_A, height], [width, 0.0]])
    for tiny in (0.0, -1e-15, 1e-15, -1e-16, -1e-300):
        places = (corners + ups[:, None]).reshape(-1, 2) + tiny
        found = axes.wrapped(places @ axes.units.T)
        np.testing.assert_allclose(found, np.tile(corners, (3, 1)), atol=1e-11)


def test_twisted_padding_is_the_endless_image():
    torus = Torus((2, 10), 4)
    image = torch.arange(20.0, dtype=torch.float64).view(1, 1, 2, 10)
    padded = wrap_pad(image, 3, 5, twist=torus.twist)
    assert padded.shape == (1, 1, 10, 18)
    for y, x in [(0, 0), (9, 17), (4, 2), (1, 16)]:
        turns, row = divmod(y - 3, 2)
        assert padded[0, 0, y, x] == image[0, 0, row, (x - 3 - turns * 4) % 10]
    untwisted = twisted_index((2, 10), 0, 3, 5, torch.device("cpu"))
    torch.testing.assert_close(image.flatten()[untwisted], wrap_pad(image, 3, 5)[0, 0])


def test_oblique_images_are_the_formula_on_turned_pixels():
    one, angle = sheet(), math.radians(60)
    vectors = choose_vectors(one.cell, angle, np.array([0.4, 0.41]), 2)
    new, torus = rotated(one, angle, vectors), torus_of(vectors)
    weights = torch.ones(60, 1, dtype=torch.float64)
    image = rasterize_oblique(
        torch.as_tensor(new.positions), weights, torch.zeros(60, dtype=torch.int64),
        torch.as_tensor(new.pixels_A)[None], torus, SIGMA_A,
    )  # fmt: skip
    periods = (new.pixels_A @ vectors.T).T  # period vectors in Angstrom, as rows
    assert np.allclose(np.linalg.norm(periods, axis=1), one.cell)
    assert abs(periods[0] @ periods[1]) < 1e-9
    copies = np.array([i * periods[0] + j * periods[1] for i in range(-3, 4) for j in range(-3, 4)])
    for row, column in [(0, 0), (1, 17), (torus.shape[0] - 1, torus.shape[1] // 2)]:
        # The pixel as it stands on the endless grid; brought near the atoms by whole periods.
        place = new.pixels_A @ (column, row)
        place = place - np.floor(np.linalg.solve(periods.T, place)) @ periods
        home = new.positions - np.floor(np.linalg.solve(periods.T, new.positions.T).T) @ periods
        distance = np.linalg.norm(home[:, None] + copies - place, axis=-1)
        expected = np.exp(-(distance**2) / (2 * SIGMA_A**2)).sum()
        assert image[0, 0, row, column].item() == pytest.approx(expected, abs=1e-5)


def test_an_upright_grid_is_the_plain_raster():
    one = sheet()
    vectors = np.array([[32, 0], [0, 30]])
    new, torus = rotated(one, 0.0, vectors), torus_of(vectors)
    assert torus == Torus((30, 32), 0)
    assert np.allclose(new.positions, one.positions)
    batch = collate([new], torch.float64)
    matrices = torch.as_tensor(new.pixels_A)[None]
    plain = rasterize_batch(batch, (30, 32), CHANNELS, SIGMA_A)
    images, features = network().oblique_images(batch, matrices, torus)
    torch.testing.assert_close(images, plain, rtol=0, atol=1e-6)
    torch.testing.assert_close(features[:, :2], pitch_features(batch.cells, (30, 32), PIXEL_A))
    assert features[0, 2].abs() < 1e-12
    sheared = torch.tensor([[[0.4, 0.01], [0.01, 0.4]]], dtype=torch.float64)
    assert pixel_features(sheared, 0.4)[0].tolist() == pytest.approx([0, 0, 0.25], abs=0.02)


@pytest.mark.parametrize(
    "changes",
    [{}, {"dilations": (1, 3)}, {"readout": "density"}, {"readout": "charge-equilibration"}, {"symmetry": "square"}],
)
def test_a_quarter_turn_of_the_grid_is_a_quarter_turn_of_the_image(changes):
    """Rotated by 90 degrees all pixels coincide, so that a network with rotated kernels must give the same energy."""
    potential, one = network(**changes), sheet()
    upright = collate([one], torch.float64)
    shape = (32, 32)
    # (x, y) -> (-y, x) about pixel (0, 0), which stays where it is.
    image = potential.images(upright, shape).flip(2).roll(1, 2).transpose(2, 3)
    expected = potential.network(image, potential.pitch(upright, shape)[:, [1, 0]])
    vectors = np.array([[0, 32], [-32, 0]])
    new = rotated(one, math.pi / 2, vectors)
    images, features = potential.oblique_images(
        collate([new], torch.float64), torch.as_tensor(new.pixels_A)[None], torus_of(vectors)
    )
    found = potential.network(images, features, twist=torus_of(vectors).twist)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dilations", [None, (1, 3)])
def test_the_twisted_sum_is_that_of_the_endless_sheet(dilations):
    """Patches of a piece cut out of the endless image, anywhere on it, are those of the torus."""
    potential, torus = network(dilations), Torus((2, 380), 44)
    image = torch.rand(1, 3, *torus.shape, dtype=torch.float64)
    pitch = torch.tensor([[0.1, -0.2, 0.05]], dtype=torch.float64)
    model = potential.network
    patches = model._patches(image, pitch, periodic=True, twist=torus.twist)[0, 0]  # (1, 190)
    c, tall, wide = model.context_px, 12, 20
    index = twisted_index(torus.shape, torus.twist, c, tall - 2 + c, torch.device("cpu"))[:, : wide + 2 * c]
    piece = model._patches(image.flatten(2)[..., index], pitch, periodic=False)[0, 0]
    for row, column in [(0, 0), (5, 9), (3, 2)]:
        assert piece[row, column].item() == pytest.approx(patches[0, (column - row * 22) % 190].item(), rel=1e-9)
    assert potential.network(image, pitch, twist=44)[0].item() == pytest.approx(patches.sum().item(), rel=1e-9)


def test_forces_on_a_turned_grid_are_minus_the_gradient():
    potential = network()
    batches = training_batches(
        [sheet(0), sheet(1)], 2, Augmentation(rotation_deg=60), ShapeRule(PIXEL_A, 2), np.random.default_rng(4)
    )
    ((group,), _, _) = next(batches)
    assert group.torus is not None
    assert group.torus.twist
    group.atoms.positions = group.atoms.positions.double()
    nothing = {"forces": torch.zeros_like(group.forces), "energies": torch.zeros(2, dtype=torch.float64)}
    group = replace(group, pixels=group.pixels.double(), **nothing)
    forces = group_errors(potential, group, training=False)[1]
    step = torch.zeros_like(group.atoms.positions)
    step[7, 1] = 1e-4
    there = group.atoms.positions.detach()
    ends = []
    for sign in (1, -1):
        group.atoms.positions = there + sign * step
        ends.append(group_errors(potential, group, training=False)[0].sum().item())
    assert forces[7, 1].item() == pytest.approx(-(ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_turning_turns_forces_and_keeps_distances():
    one = sheet()
    new, torus = rotated_batch([one], math.radians(60), np.array([0.4, 0.4]), 2)
    (new,) = new
    assert np.allclose(np.linalg.norm(new.forces, axis=1), np.linalg.norm(one.forces, axis=1))
    between = [np.linalg.norm(s.positions[:, None] - s.positions, axis=-1) for s in (one, new)]
    assert np.allclose(*between)
    # The same turn for both.
    lengths = np.linalg.norm(one.positions, axis=1)
    for s in (one, new):
        along = (s.positions * s.forces).sum(axis=1) / lengths
        assert np.allclose(along, (one.positions * one.forces).sum(axis=1) / lengths)
    assert all(n % 2 == 0 for n in (*torus.shape, torus.twist))
    assert np.allclose(new.pixels_A, new.pixels_A.T)


@pytest.mark.parametrize("angle", [17, 60, 120, 150])
def test_chosen_grids_are_nearly_square(angle):
    vectors = choose_vectors(np.array([12.3, 12.78]), math.radians(angle), np.array([0.4, 0.4]), 2)
    rotation, steps = polar(cell_vectors(np.array([12.3, 12.78]), math.radians(angle)), vectors)
    assert abs(math.atan2(rotation[1, 0], rotation[0, 0])) < 0.06
    assert np.abs(steps / 0.4 - np.eye(2)).max() < 0.06
    assert choose_vectors(np.array([1.0, 1.0]), math.radians(45), np.array([0.4, 0.4]), 8) is None


def test_angles_are_drawn_evenly_and_off_means_none():
    rng = np.random.default_rng(0)
    drawn = [round(math.degrees(draw_angle(60.0, rng))) for _ in range(300)]
    assert set(drawn) == {0, 60, 120}
    assert min(map(drawn.count, set(drawn))) > 70
    state = rng.bit_generator.state
    assert draw_angle(0.0, rng) == 0.0
    assert rng.bit_generator.state == state


def test_a_turn_that_no_network_can_take_is_refused():
    with pytest.raises(InputError, match="rotation_deg: 50"):
        TrainingSettings(augmentation=Augmentation(rotation_deg=50))
