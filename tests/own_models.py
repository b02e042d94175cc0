"""Small networks with the files of trained ones, for tests of what uses models."""

from pathlib import Path

import numpy as np
import torch

from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.models.domain import measure
from extensive.structures.lattices import graphene
from extensive.training.augment import Augmentation
from extensive.training.settings import TrainingSettings

EDNN = ModelConfig(
    "ednn",
    "convolutional",
    channels=("B", "C", "N"),
    pixel_size_A=0.4,
    sigma_A=0.5,
    pitch_channels=True,
    focus_px=4,
    stem=((8, 4, 2),),
    width=8,
    blocks=1,
    head=(8,),
)
CNN = ModelConfig("cnn", "paper", channels="Z", pixel_size_A=0.2, sigma_A=0.2, image_px=64)


def rattled(cells: tuple[int, int] = (3, 2), seed: int = 0, amplitude_A: float = 0.03):
    atoms = graphene(cells)
    atoms.positions[:, :2] += amplitude_A * np.random.default_rng(seed).standard_normal((len(atoms), 2))
    return atoms


def write_model(
    path: Path, config: ModelConfig = EDNN, seed: int = 0, elements=("B", "C", "N"), exchange: bool = True
) -> Path:
    """A network that says it was trained on rattled and strained graphene of 24 atoms, its axes exchanged or not."""
    torch.manual_seed(seed)
    network = build_model(config)
    learned = [rattled(seed=i) for i in range(6)]
    for atoms, strain in zip(learned, (0.97, 0.98, 0.99, 1.01, 1.02, 1.03)):
        atoms.set_cell(atoms.cell.array * strain, scale_atoms=True)
    cells = np.array([atoms.cell.lengths()[:2] for atoms in learned])
    metadata = {
        "training": TrainingSettings(augmentation=Augmentation(transpose=exchange)).to_dict(),
        "cell_range_A": [cells.min(axis=0).tolist(), cells.max(axis=0).tolist()],
        **measure(learned),
        "families": ["graphene"],
        "n_train": len(learned),
    }
    save_model(path, Potential(network, dict.fromkeys(elements, -9.0), 5.0), metadata)
    return path
