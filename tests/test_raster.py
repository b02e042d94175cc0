"""The image is the formula, periodic, differentiable twice, and the files of images say what they are."""

import math

import h5py
import numpy as np
import pytest
import torch
from ase import Atoms

from extensive.errors import InputError
from extensive.images.files import read_images, write_images
from extensive.images.raster import (
    AtomBatch,
    batch_from_atoms,
    channel_weights,
    image_shape,
    pitch_features,
    rasterize,
    rasterize_batch,
    rasterize_open,
)

SIGMA = 0.2
ELEMENTS = ["B", "C", "N"]
# Lx, Ly (Angstrom) and H, W: one block, cells smaller than a Gaussian, axes rendered in blocks with halos.
CASES = [
    ((12.30, 12.78), (64, 64)),
    ((2.46, 4.26), (24, 16)),
    ((1.00, 0.40), (4, 8)),
    ((24.60, 25.56), (128, 120)),
    ((24.60, 3.00), (16, 128)),
    ((26.30, 20.00), (101, 131)),  # prime: no block fits
]


def atoms_in(cell, count=30, seed=0, dtype=torch.float64):
    """Positions (some outside the cell), numbers and cell."""
    rng = np.random.default_rng(seed)
    cell = torch.tensor(cell, dtype=dtype)
    positions = torch.tensor(rng.uniform(-0.7, 1.9, (count, 2)), dtype=dtype) * cell
    return positions, torch.tensor(rng.choice([5, 6, 7], count)), cell


def brute_force(positions, weights, cell, shape, images=14):
    """The formula, term by term: every atom, every periodic image, every pixel."""
    y = torch.arange(shape[0], dtype=torch.float64) * cell[1] / shape[0]
    x = torch.arange(shape[1], dtype=torch.float64) * cell[0] / shape[1]
    m = torch.arange(-images, images + 1, dtype=torch.float64)
    dx = x[None, None, :] - positions[:, 0, None, None] + m[None, :, None] * cell[0]  # (A, images, W)
    dy = y[None, None, :] - positions[:, 1, None, None] + m[None, :, None] * cell[1]
    square = dy[:, :, None, :, None] ** 2 + dx[:, None, :, None, :] ** 2  # (A, images, images, H, W)
    return torch.einsum("ac,aijyx->cyx", weights, torch.exp(-square / (2 * SIGMA**2)))


@pytest.mark.parametrize("channels", ["Z", ELEMENTS])
@pytest.mark.parametrize(("cell", "shape"), CASES)
def test_image_is_the_formula(cell, shape, channels):
    positions, numbers, cell = atoms_in(cell, count=5)
    images = 14 if min(cell) < 5 else 3
    expected = brute_force(positions, channel_weights(numbers, channels, torch.float64), cell, shape, images)
    exact = rasterize(positions, numbers, cell, shape, channels, SIGMA, exact=True)
    torch.testing.assert_close(exact, expected, rtol=0, atol=1e-12)
    fast = rasterize(positions.float(), numbers, cell.float(), shape, channels, SIGMA)
    # float32 resolves positions of 20 A to 1e-6 A; the truncation leaves out less than 1e-6 of a peak.
    assert (fast - expected).abs().max() < 2e-5 * expected.max()
    truncated = rasterize(positions, numbers, cell, shape, channels, SIGMA)
    assert (truncated - expected).abs().max() < 1e-6 * expected.max()


@pytest.mark.parametrize(("cell", "shape"), [CASES[0], CASES[3]])
def test_integral_counts_the_atoms(cell, shape):
    positions, numbers, cell = atoms_in(cell)
    image = rasterize(positions, numbers, cell, shape, ELEMENTS, SIGMA, exact=True)
    pixel_area = (cell[0] / shape[1]) * (cell[1] / shape[0])
    counted = image.sum(dim=(1, 2)) * pixel_area / (2 * math.pi * SIGMA**2)
    counts = torch.stack([(numbers == z).sum() for z in (5, 6, 7)]).double()
    torch.testing.assert_close(counted, counts, rtol=1e-6, atol=0)  # sigma of a pixel: error exp(-2 pi^2)


@pytest.mark.parametrize("index", [0, 3])
def test_shift_by_whole_pixels_rolls_the_image(index):
    cell, shape = CASES[index]
    positions, numbers, cell = atoms_in(cell)
    pitch = torch.stack([cell[0] / shape[1], cell[1] / shape[0]])
    image = rasterize(positions, numbers, cell, shape, ELEMENTS, SIGMA, exact=True)
    moved = rasterize(positions + pitch * torch.tensor([5.0, -9.0]), numbers, cell, shape, ELEMENTS, SIGMA, True)
    torch.testing.assert_close(moved, image.roll((-9, 5), (1, 2)), rtol=0, atol=1e-11)


@pytest.mark.parametrize("index", [1, 3])
def test_whole_periods_change_nothing_and_cells_repeat(index):
    cell, shape = CASES[index]
    positions, numbers, cell = atoms_in(cell)
    image = rasterize(positions, numbers, cell, shape, "Z", SIGMA, exact=True)
    turns = torch.randint(-3, 4, positions.shape)
    wrapped = rasterize(positions + turns * cell, numbers, cell, shape, "Z", SIGMA, exact=True)
    torch.testing.assert_close(wrapped, image, rtol=0, atol=1e-11)
    doubled = rasterize(
        torch.cat([positions, positions + cell * torch.tensor([1.0, 0.0])]),
        numbers.repeat(2),
        cell * torch.tensor([2.0, 1.0]),
        (shape[0], 2 * shape[1]),
        "Z",
        SIGMA,
        exact=True,
    )
    torch.testing.assert_close(doubled, image.repeat(1, 1, 2), rtol=0, atol=1e-11)


def test_batch_equals_one_by_one():
    rng = np.random.default_rng(3)
    shape, parts, cells = (128, 128), [], []
    for count in (7, 60, 1):
        cell = torch.tensor(rng.uniform(20, 26, 2))
        parts.append((torch.tensor(rng.random((count, 2))) * cell, torch.tensor(rng.choice([5, 6, 7], count))))
        cells.append(cell)
    index = torch.repeat_interleave(torch.arange(3), torch.tensor([7, 60, 1]))
    order = torch.randperm(68)  # atoms of a structure need not lie together
    batch = AtomBatch(
        torch.cat([p for p, _ in parts])[order],
        torch.cat([n for _, n in parts])[order],
        index[order],
        torch.stack(cells),
    )
    together = rasterize_batch(batch, shape, ELEMENTS, SIGMA, exact=True)
    for i, (positions, numbers) in enumerate(parts):
        alone = rasterize(positions, numbers, cells[i], shape, ELEMENTS, SIGMA, exact=True)
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "shape"), [((2.5, 4.3), (8, 4)), ((30.0, 3.0), (4, 100))])
def test_first_and_second_gradients(cell, shape):
    positions, numbers, cell = atoms_in(cell, count=3)
    probe = torch.randn(3, *shape, dtype=torch.float64)

    def energy(positions, cell):
        # A nonlinear function of the image, as a network is.
        return (rasterize(positions, numbers, cell, shape, ELEMENTS, SIGMA, exact=True) * probe).sin().sum()

    inputs = (positions.requires_grad_(), cell.requires_grad_())
    assert torch.autograd.gradcheck(energy, inputs, atol=1e-6)
    assert torch.autograd.gradgradcheck(energy, inputs, atol=1e-5)


def test_image_shape_and_pitch_keep_the_strain():
    assert image_shape((12.30, 12.78), 0.2, 8) == (64, 64)
    assert image_shape((24.6, 25.56), 0.2, 4) == (128, 124)
    assert image_shape((0.3, 0.3), 0.2, 8) == (8, 8)  # never empty
    with pytest.raises(InputError, match="pixel_size_A"):
        image_shape((12.3, 12.78), 0.0, 8)
    cells = torch.tensor([[12.8, 12.8], [12.8 * 1.01, 12.8]], dtype=torch.float64)
    features = pitch_features(cells, (64, 64), 0.2)
    assert features[0].abs().max() < 1e-12
    torch.testing.assert_close(features[1, 0], torch.tensor(10 * math.log(1.01), dtype=torch.float64))


def test_open_images_are_the_formula():
    rng = np.random.default_rng(0)
    positions, weights = (
        torch.tensor(rng.uniform(1, 3, (2, 2, 3))),
        torch.tensor([[1.0, 2.0], [1.0, 1.0]]).double(),
    )
    box, shape = (4.0, 5.0, 6.0), (8, 10, 9)
    image = rasterize_open(positions, weights, box, shape, 0.5)
    assert image.shape == (2, 1, *shape)
    z, y, x = 3, 7, 2
    point = torch.tensor([(x + 0.5) * 6.0 / 9, (y + 0.5) * 5.0 / 10, (z + 0.5) * 4.0 / 8]).double()
    square = (positions - point).square().sum(-1)
    torch.testing.assert_close(image[:, 0, z, y, x], (weights * torch.exp(-square / (2 * 0.5**2))).sum(1))
    flat = rasterize_open(positions[..., :2], weights, box[1:], shape[1:], 0.5)
    assert flat.shape == (2, 1, 10, 9)
    with pytest.raises(InputError, match="2 or 3 axes"):
        rasterize_open(positions, weights, box[1:], shape[1:], 0.5)


def labelled(count=3, cell=(12.3, 12.78), seed=0):
    rng = np.random.default_rng(seed)
    structures = []
    for i in range(count):
        positions = np.c_[rng.random((6, 2)) * cell, np.full(6, 5.0)]
        atoms = Atoms("C3BN2", positions=positions, cell=[*cell, 10], pbc=(True, True, False))
        atoms.info.update(structure_id=f"test-rattle-{i:05d}", REF_energy=-9.0 * i)
        structures.append(atoms)
    return structures


SETTINGS = {"channels": ELEMENTS, "pixel_size_A": 0.2, "sigma_A": SIGMA, "multiple_px": 8}


def test_image_file_holds_what_it_says(tmp_path):
    structures = labelled()
    write_images(tmp_path / "a.h5", structures, **SETTINGS)
    found = read_images(tmp_path / "a.h5")
    assert found["images"].shape == (3, 3, 64, 64)
    assert found["images"].dtype == np.float32
    assert found["ids"] == [atoms.info["structure_id"] for atoms in structures]
    assert found["energies"].tolist() == [0.0, -9.0, -18.0]
    assert found["n_atoms"].tolist() == [6, 6, 6]
    assert found["attributes"]["sigma_A"] == SIGMA
    expected = rasterize_batch(batch_from_atoms(structures), (64, 64), ELEMENTS, SIGMA)
    np.testing.assert_allclose(found["images"], expected.numpy(), atol=1e-6)
    write_images(tmp_path / "b.h5", structures, **SETTINGS)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def with_change(change):
    structures = labelled()
    change(structures[1])
    return structures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.info.pop("REF_energy"), "test-rattle-00001: no finite REF_energy"),
        (lambda a: a.set_pbc(False), "test-rattle-00001: pbc"),
        (lambda a: a.set_cell([[12, 1, 0], [0, 12, 0], [0, 0, 10]]), "make no rectangle"),
        (lambda a: a.positions.__setitem__((0, 2), 6.0), "along the normal"),
        (lambda a: a.positions.__setitem__((0, 0), np.nan), "NaN"),
        (lambda a: a.numbers.__setitem__(0, 8), "atomic number 8 has no image channel"),
        (lambda a: a.set_cell([24.6, 12.78, 10]), "off the mean"),
    ],
)
def test_wrong_structures_are_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        write_images(tmp_path / "a.h5", with_change(change), **SETTINGS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_lengths_that_are_none_are_refused(size):
    with pytest.raises(InputError, match=r"pixel_size_A .* must be positive, and finite"):
        image_shape((10.0, 10.0), size, 4)
    batch = AtomBatch(*atoms_in((4.0, 4.0))[:2], torch.zeros(30, dtype=torch.int64), torch.tensor([[4.0, 4.0]]))
    with pytest.raises(InputError, match=r"sigma_A .* must be positive and finite"):
        rasterize_batch(batch, (16, 16), "Z", size)


def test_broken_image_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no labelled structures"):
        write_images(tmp_path / "a.h5", [], **SETTINGS)
    with pytest.raises(InputError, match=r"missing\.h5"):
        read_images(tmp_path / "missing.h5")
    write_images(tmp_path / "a.h5", labelled(), **SETTINGS)
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.h5"):
        read_images(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file.attrs["energy_unit"]
    with pytest.raises(InputError, match="units"):
        read_images(tmp_path / "a.h5")
