"""Statements of physics about raster, tiles, archive and configuration, held against arbitrary structures."""

import copy
import math
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from extensive import keys
from extensive.config import complete_config, load_schema
from extensive.errors import InputError
from extensive.images.raster import AtomBatch, rasterize, rasterize_batch
from extensive.models import ModelConfig, build_model
from extensive.models.config import READOUTS
from extensive.models.functions import wrap_pad
from extensive.models.tiles import cut_tiles
from extensive.reference.archive import Archive, add_labels, read_labels
from extensive.reference.record import with_label
from extensive.reference.settings import LENGTH_STEP_A, DFTSettings, label_digest

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = load_schema()
ELEMENTS = ("B", "C", "N")
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
micro = st.integers(-20_000_000, 20_000_000)  # millionths of an Angstrom


@st.composite
def sheets(draw, largest: int = 12) -> Atoms:
    """Any atoms at all in a flat periodic cell, on the grid of 1e-6 Angstrom that structures are made on."""
    lengths = draw(st.tuples(*[st.integers(2_000_000, 15_000_000)] * 2))
    points = draw(st.lists(st.tuples(micro, micro), min_size=1, max_size=largest))
    symbols = draw(st.lists(st.sampled_from(ELEMENTS), min_size=len(points), max_size=len(points)))
    positions = np.array([(x, y, 5_000_000) for x, y in points]) / 1e6
    return Atoms(symbols, positions, cell=[*np.array(lengths) / 1e6, 10.0], pbc=(True, True, False))


def image(atoms, shape, positions=None, cell=None, channels=ELEMENTS, exact=False):
    positions = atoms.positions[:, :2] if positions is None else positions
    cell = atoms.cell.lengths()[:2] if cell is None else cell
    return rasterize(
        torch.tensor(positions), torch.tensor(atoms.numbers), torch.tensor(cell), shape, channels, 0.3, exact
    )


shapes = st.tuples(st.integers(4, 40), st.integers(4, 40))


# --- raster


@given(sheets(), shapes, st.integers(-50, 50), st.integers(-50, 50))
@few
def test_translation_by_whole_pixels_rolls_the_image(atoms, shape, down, right):
    pitch = atoms.cell.lengths()[:2] / shape[::-1]
    moved = image(atoms, shape, atoms.positions[:, :2] + pitch * [right, down])
    torch.testing.assert_close(moved, image(atoms, shape).roll((down, right), (-2, -1)), rtol=0, atol=1e-5)


@given(sheets(), shapes, st.randoms(use_true_random=False))
@few
def test_image_knows_neither_the_order_of_atoms_nor_which_periodic_copy_they_are(atoms, shape, random):
    order = list(range(len(atoms)))
    random.shuffle(order)
    copies = [[random.randint(-3, 3), random.randint(-3, 3)] for _ in order]
    other = atoms[order]
    other.positions[:, :2] += np.array(copies) * atoms.cell.lengths()[:2]
    torch.testing.assert_close(image(other, shape), image(atoms, shape), rtol=0, atol=1e-5)


@given(sheets(), st.integers(1, 11))
@few
def test_image_of_all_atoms_is_the_sum_of_the_images_of_some_and_of_the_others(atoms, cut):
    assume(cut < len(atoms))
    whole = image(atoms, (24, 20))
    torch.testing.assert_close(image(atoms[:cut], (24, 20)) + image(atoms[cut:], (24, 20)), whole, rtol=0, atol=1e-9)


@given(sheets(), shapes, st.integers(1, 3), st.integers(1, 3))
@few
def test_image_of_a_repeated_cell_is_the_repeated_image(atoms, shape, nx, ny):
    repeated = image(atoms.repeat((nx, ny, 1)), (shape[0] * ny, shape[1] * nx))
    torch.testing.assert_close(repeated, image(atoms, shape).repeat(1, ny, nx), rtol=0, atol=1e-5)


@given(sheets())
@few
def test_integral_of_a_channel_counts_its_atoms(atoms):
    # Pixels of at most half a sigma, for which the sum is the integral.
    lengths = atoms.cell.lengths()[:2]
    shape = tuple(int(np.ceil(length / 0.15)) for length in lengths[::-1])
    density = image(atoms, shape, exact=True).sum((1, 2)) * np.prod(lengths) / np.prod(shape)
    counts = [atoms.get_chemical_symbols().count(symbol) for symbol in ELEMENTS]
    np.testing.assert_allclose(density / (2 * np.pi * 0.3**2), counts, atol=1e-5)


@given(sheets(6), sheets(6), shapes)
@few
def test_structures_of_a_batch_do_not_see_one_another(one, other, shape):
    pair = (one, other)
    batch = AtomBatch(
        torch.tensor(np.concatenate([atoms.positions[:, :2] for atoms in pair])),
        torch.tensor(np.concatenate([atoms.numbers for atoms in pair])),
        torch.tensor([0] * len(one) + [1] * len(other)),
        torch.tensor(np.array([atoms.cell.lengths()[:2] for atoms in pair])),
    )
    found = rasterize_batch(batch, shape, "Z", 0.3)
    for part, atoms in zip(found, pair, strict=True):
        torch.testing.assert_close(part, image(atoms, shape, channels="Z"), rtol=0, atol=1e-4)


# --- tiles and networks


def pixels(seed: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9), st.integers(0, 99))
@few
def test_tiles_cover_the_image_once_and_carry_their_surroundings(rows, columns, focus, context, seed):
    whole = pixels(seed, rows * focus, columns * focus)
    tiles = cut_tiles(whole, focus, context)
    inner = tiles[..., context : context + focus, context : context + focus]
    rebuilt = inner.unflatten(1, (rows, columns)).permute(0, 3, 1, 4, 2, 5).reshape(whole.shape)
    assert torch.equal(rebuilt, whole)
    # Rolled by one focus, the same tiles come in another order: no tile is at a border.
    rolled = cut_tiles(whole.roll((focus, focus), (-2, -1)), focus, context).unflatten(1, (rows, columns))
    assert torch.equal(rolled, tiles.unflatten(1, (rows, columns)).roll((1, 1), (1, 2)))
    padded = wrap_pad(whole, context)
    assert torch.equal(padded[..., context : context + rows * focus, context : context + columns * focus], whole)


@st.composite
def networks(draw) -> ModelConfig:
    """Any convolutional tile network of a size that runs in milliseconds."""
    layers = st.sampled_from([(4, 2, 2), (4, 4, 2), (4, 6, 2), (4, 3, 1)])
    stem = tuple(draw(st.lists(layers, min_size=1, max_size=2)))
    symmetry = draw(st.sampled_from(["none", "mirrors"]))
    heads = st.integers(1, 4) if symmetry == "none" else st.just(4)
    return ModelConfig(
        "ednn",
        "convolutional",
        channels=ELEMENTS,
        focus_px=math.prod(stride for _, _, stride in stem) * draw(st.integers(1, 2)),
        stem=stem,
        width=4,
        blocks=draw(st.integers(0, 2)),
        head=tuple(draw(st.lists(heads, max_size=1))),
        symmetry=symmetry,
        pitch_channels=draw(st.booleans()),
        readout=draw(st.sampled_from(READOUTS)),
    )


def network_of(config: ModelConfig, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_model(config).double().eval()


def told(config: ModelConfig, images: torch.Tensor) -> torch.Tensor | None:
    return 0.1 * torch.arange(2 * len(images), dtype=images.dtype).view(-1, 2) if config.pitch_channels else None


@given(networks(), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
@few
@torch.no_grad()
def test_tiled_is_fused_whatever_the_layers(config, rows, columns, seed):
    network = network_of(config, seed)
    images = pixels(seed, rows * config.focus_px, columns * config.focus_px, 3)
    pitch = told(config, images)
    tiled, fused = (network.tile_energies(images, pitch, mode) for mode in ("tiled", "fused"))
    torch.testing.assert_close(tiled, fused, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(network(images, pitch), tiled.sum((1, 2)), rtol=1e-10, atol=1e-10)


@given(networks(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
@few
@torch.no_grad()
def test_energy_of_a_repeated_cell_is_so_many_times_the_energy(config, rows, columns, ny, nx, seed):
    network = network_of(config, seed)
    images = pixels(seed, rows * config.focus_px, columns * config.focus_px, 3)
    pitch = told(config, images)
    many = network(images.repeat(1, 1, ny, nx), pitch)
    torch.testing.assert_close(many, nx * ny * network(images, pitch), rtol=1e-10, atol=1e-10)


# --- archive

DFT = DFTSettings.from_config(complete_config({"run": "test"})["reference"]["dft"])
VERSION = "26.7.0"
RECORD = {"iterations": 9, "seconds": 2.0, "cores": 1, "converged": True, "attempts": 1, "reused": False}
RECORD |= {"settings": DFT.physical(), "versions": {"gpaw": VERSION}}
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def digest_of(atoms: Atoms) -> str:
    return label_digest(atoms, DFT.physical(), VERSION)


@st.composite
def labels(draw) -> Atoms:
    atoms = draw(sheets(6))
    forces = np.array(draw(st.lists(numbers, min_size=3 * len(atoms), max_size=3 * len(atoms)))).reshape(-1, 3)
    return with_label(atoms, draw(numbers), np.round(forces, 8), {"kinetic": draw(numbers)}, RECORD)


@given(st.lists(labels(), min_size=1, max_size=4), st.booleans())
@few
def test_whatever_goes_into_the_archive_comes_out_again(tmp_path_factory, labelled, twice):
    folder = tmp_path_factory.mktemp("archive")
    for index, atoms in enumerate(labelled):
        atoms.info |= {keys.STRUCTURE_ID: f"any-{index:05d}", keys.DATASET: "any"}
    wanted = {atoms.info[keys.REF_DIGEST]: atoms for atoms in labelled}
    for part in [labelled[:1], labelled[1:], *[labelled] * twice]:
        if part:
            add_labels(folder, "any", part, folder / "locks")
    found = {atoms.info[keys.REF_DIGEST]: atoms for atoms in read_labels(folder / "any.extxyz.gz")}
    assert found.keys() == wanted.keys()
    for digest, atoms in found.items():
        assert digest == digest_of(atoms) == digest_of(wanted[digest])
        assert atoms.info[keys.REF_ENERGY] == wanted[digest].info[keys.REF_ENERGY]
        np.testing.assert_array_equal(atoms.numbers, wanted[digest].numbers)
        np.testing.assert_array_equal(atoms.arrays[keys.REF_FORCES], wanted[digest].arrays[keys.REF_FORCES])
        np.testing.assert_allclose(atoms.positions, wanted[digest].positions, rtol=0, atol=1e-9)
    archive = Archive(folder)
    archive.refresh()
    assert archive.by_digest().keys() == wanted.keys()


def move(atoms, which, axis, step):
    atoms.positions[which, axis] += step


def exchange(atoms, which, axis, step):
    atoms.numbers[which] = {5: 6, 6: 7, 7: 5}[int(atoms.numbers[which])]


def stretch(atoms, which, axis, step):
    atoms.cell[axis, axis] += abs(step)


def open_boundary(atoms, which, axis, step):
    atoms.pbc[axis] = False


@given(sheets(), st.data(), st.sampled_from([move, exchange, stretch, open_boundary]))
@settings(few, max_examples=60)
def test_digest_changes_with_everything_that_matters(atoms, data, change):
    before = digest_of(atoms)
    which, axis = data.draw(st.integers(0, len(atoms) - 1)), data.draw(st.integers(0, 1))
    steps = data.draw(st.integers(-1000, 1000).filter(bool))
    change(atoms, which, axis, steps * LENGTH_STEP_A)
    assert digest_of(atoms) != before


@given(sheets(), st.floats(-0.45, 0.45), st.floats(1.0, 50.0), st.floats(-50.0, 50.0), st.text(max_size=5))
@settings(few, max_examples=60)
def test_digest_ignores_rounding_vacuum_height_and_what_is_written_beside(atoms, noise, vacuum, height, text):
    before = digest_of(atoms)
    atoms.positions[:, :2] += noise * LENGTH_STEP_A
    atoms.cell[2, 2] = vacuum
    atoms.positions[:, 2] += height
    atoms.info |= {"note": text, keys.FAMILY: "other", keys.STRUCTURE_ID: "other-00001"}
    assert digest_of(atoms) == before


# --- configuration

PRESETS = [yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("smoke", "config", "paper")]


@st.composite
def configurations(draw) -> dict:
    """A preset with some of its keys, at any depth down to three, left to the schema's defaults."""
    config = copy.deepcopy(draw(st.sampled_from(PRESETS)))
    for _ in range(draw(st.integers(0, 6))):
        part, depth = config, draw(st.integers(1, 3))
        for level in range(depth):
            names = sorted(name for name in part if name != "run")
            if not names:
                break
            name = draw(st.sampled_from(names))
            if level + 1 == depth or not isinstance(part[name], dict):
                del part[name]
                break
            part = part[name]
    return config


def completed(config) -> tuple[dict, str]:
    """The completed configuration, or what is said against it."""
    try:
        return complete_config(config, SCHEMA), ""
    except InputError as error:
        return {}, str(error)


def is_inside(part, whole) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and is_inside(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_inside, part, whole))
    return part == whole


@given(configurations())
@settings(few, max_examples=40)
def test_defaults_are_filled_once_and_leave_what_was_said(config):
    before = copy.deepcopy(config)
    full, refusal = completed(config)
    assert config == before
    if refusal:
        assert "is missing" in refusal
        return
    assert complete_config(full, SCHEMA) == full
    assert is_inside(config, full)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4), st.data())
@settings(few, max_examples=40)
def test_a_key_of_any_other_value_is_taken_or_named_in_one_line(value, data):
    section = data.draw(st.sampled_from(sorted(SCHEMA["properties"])))
    full, refusal = completed({"run": "test", section: value})
    if refusal:
        assert "\n" not in refusal
        assert section in refusal
    else:
        assert is_inside(value, full[section])
