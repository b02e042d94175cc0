"""Speed of the hot paths, to compare two commits.

pytest tests/benchmarks --benchmark-autosave, and again on the other commit with --benchmark-compare. The test suite
runs each once, untimed.
"""

import numpy as np
import pytest
import torch

from extensive import keys
from extensive.inference import Engine, stream_energy
from extensive.inference.blocks import torch_threads
from extensive.inference.windows import scatter_open
from extensive.models import ModelConfig, Potential, build_model
from extensive.structures.sheet import PorousSheet
from extensive.timing.networks import timing_cell
from extensive.training.augment import Augmentation
from extensive.training.data import ShapeRule, make_sheets, training_batches
from extensive.training.loop import _backward
from extensive.training.scaling import LossUnits
from extensive.training.settings import TrainingSettings

pytestmark = pytest.mark.medium
pytest.importorskip("pytest_benchmark")

# The default preset's network; speed does not depend on the weights.
MODEL = ModelConfig(
    "ednn", "convolutional", channels=("B", "C", "N"), pixel_size_A=0.4, sigma_A=0.5, pitch_channels=True,
    stem=((64, 4, 2),), width=64, blocks=4, head=(64,), focus_px=8,
)  # fmt: skip
SHEET = PorousSheet((24, 24), displacement_A=0.05)


@pytest.fixture
def potential():
    torch.manual_seed(0)
    return Potential(build_model(MODEL).eval(), {"B": 0.0, "C": 0.0, "N": 0.0})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sixty_atoms(benchmark, potential, dtype):
    engine, atoms = Engine(potential, dtype, threads=2), timing_cell((5, 3), 0)
    assert np.isfinite(benchmark(engine.energy, atoms))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_streamed_sheet(benchmark, potential, dtype):
    engine = Engine(potential, dtype, threads=2)
    result = benchmark.pedantic(stream_energy, (engine, SHEET), rounds=3, warmup_rounds=1)
    assert result.n_atoms == SHEET.n_atoms


def test_raster(benchmark):
    positions, _ = SHEET.atoms_between(0.0, 150.0)
    positions = torch.from_numpy(positions[positions[:, 0] < 150.0])
    channel = torch.zeros(len(positions), dtype=torch.int64)
    with torch.inference_mode():
        image = benchmark(scatter_open, positions, channel, None, (375, 375), (0.4, 0.4), 0.5, 3, torch.float32)
    assert image.sum() > 0


def training_group(structures: int = 4):
    """What one step of the default preset's EDNN learns from, in one piece."""
    labelled = []
    for seed in range(structures):
        atoms = timing_cell((5, 3), seed)
        atoms.info[keys.REF_ENERGY] = -8.8 * len(atoms)
        atoms.arrays[keys.REF_FORCES] = np.zeros((len(atoms), 3))
        labelled.append(atoms)
    sheets = make_sheets(labelled, {"B": -5.0, "C": -8.7, "N": -10.0}, with_forces=True)
    shape_of = ShapeRule(MODEL.pixel_size_A, 2)

    def draw():
        batches = training_batches(sheets, structures, Augmentation(), shape_of, np.random.default_rng(0))
        return next(iter(batches))

    return draw


def test_training_step(benchmark, potential):
    """Draws, images, network, and the gradient of a loss of energies and forces, on one thread."""
    draw, settings = training_group(), TrainingSettings(energy_weight=0.03)
    units = LossUnits(energy=1.0, per_atom=True, forces=1.0)
    with torch_threads(1):
        assert np.isfinite(float(benchmark(lambda: _backward(potential, *draw(), units, settings, 0.03))))


def test_training_data(benchmark, potential):
    """The data path of such a step alone: draws, images and their derivative in the positions."""
    draw = training_group()

    def images():
        (group,), _, _ = draw()
        group.atoms.positions.requires_grad_(True)
        made = potential.images(group.atoms, group.shape)
        (gradient,) = torch.autograd.grad(made.square().sum(), group.atoms.positions)
        return gradient

    with torch_threads(1):
        assert torch.isfinite(benchmark(images)).all()
