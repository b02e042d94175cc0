"""Lennard-Jones dimers: a small CNN reads energy and separation off 2D and 3D images.

Ryczko et al., Comput. Mater. Sci. 149, 134 (2018). A dimer's energy and separation do not depend on where it
lies or how it is rotated, so each is placed and rotated anew every time it is shown. Trained on a range of
separations, tested inside it and, as extrapolation, outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase import Atoms
from torch import Tensor
from tqdm import tqdm

from extensive import keys
from extensive.errors import InputError
from extensive.images.raster import rasterize_open
from extensive.io import atomic_path
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.training.optimizers import Muon
from extensive.training.splits import DEVELOPMENT, assign_sets

SEPARATION = "separation_A"
# (width, kernel, stride) of the layers, for images of two and of three axes.
# The last layers see all of a dimer at the largest separation, wherever it lies.
STEMS = {
    2: ((16, 5, 2), (32, 3, 2), (64, 3, 1), (64, 3, 1)),
    3: ((16, 3, 2), (32, 3, 2), (48, 3, 1), (48, 3, 1)),
}
PIXELS = {2: 20, 3: 16}


@dataclass(frozen=True)
class DimerSettings:
    """Keys of `training.dimers`."""

    steps: int = 8000
    batch_size: int = 32
    learning_rate: float = 2e-3
    sigma_A: float = 0.5  # wide enough for the coarse grid: a Gaussian is seen by several pixels
    separation_A: tuple[float, float] = (3.4, 7.0)  # trained within; outside is extrapolation
    margin_A: float = 1.6


def dimer_config(dimensions: int, box_A: float, sigma_A: float) -> ModelConfig:
    """The network: convolutions, features averaged over places, one dense layer, two outputs (energy, separation)."""
    side = PIXELS[dimensions]
    return ModelConfig(
        "cnn",
        "averaged",
        dims=dimensions,
        outputs=2,
        image_px=side,
        pixel_size_A=box_A / side,
        sigma_A=sigma_A,
        stem=STEMS[dimensions],
        width=STEMS[dimensions][-1][0],
        head=(64,),
    )


def draw_images(config: ModelConfig, positions: np.ndarray, box_A: float) -> Tensor:
    """Images (B, 1, ...) of atoms at positions (B, 2, D), Angstrom, each of weight 1."""
    positions = torch.as_tensor(positions, dtype=torch.float32)
    shape = (config.image_px,) * config.dims
    return rasterize_open(positions, torch.ones(positions.shape[:2]), (box_A,) * config.dims, shape, config.sigma_A)


def place(
    separations: np.ndarray, dimensions: int, box_A: float, margin_A: float, rng: np.random.Generator
) -> np.ndarray:
    """Positions (B, 2, D) of dimers of these separations, placed and rotated at random within the margins."""
    direction = rng.normal(size=(len(separations), dimensions))
    half = 0.5 * separations[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    reach = margin_A + np.abs(half)
    centre = reach + rng.random(half.shape) * (box_A - 2.0 * reach)
    return np.stack([centre - half, centre + half], axis=1)


def train_dimers(
    name: str,
    structures: Sequence[Atoms],
    settings: DimerSettings,
    seed: int,
    path: str | Path,
    curve: str | Path,
    replica: int = 0,
) -> dict[str, pd.DataFrame]:
    """Train on one data set of dimers with REF_energy; writes the model and its curve.

    Another `replica` starts from other weights and draws other images, of the same splits. Returns predictions of the
    sets 'test' and 'extrapolation'. Raises InputError for dimers that are too few.
    """
    low, high = settings.separation_A
    inside = [atoms for atoms in structures if low <= atoms.info[SEPARATION] <= high]
    splits = assign_sets(inside, {atoms.info[keys.DATASET]: DEVELOPMENT for atoms in inside}, seed)
    by_id = {atoms.info[keys.STRUCTURE_ID]: atoms for atoms in structures}
    learned = [by_id[member] for member in splits[keys.TRAIN]]
    held = [by_id[member] for member in splits[keys.VALIDATION]]
    tested = {
        keys.TEST: [by_id[member] for member in splits[keys.TEST]],
        keys.EXTRAPOLATION: [atoms for atoms in structures if not low <= atoms.info[SEPARATION] <= high],
    }
    if len(learned) < 2:
        raise InputError(f"{name}: {len(learned)} dimers within separation_A {[low, high]}; training needs more")
    dimensions = 3 if structures[0].pbc.all() else 2
    box = float(structures[0].cell.lengths()[0])
    torch.manual_seed(seed + replica)
    config = dimer_config(dimensions, box, settings.sigma_A)
    network = build_model(config)
    targets = _targets(learned)
    centre, spread = targets.mean(axis=0), targets.std(axis=0)
    rng = np.random.default_rng([seed + replica, 2])
    with torch.no_grad():
        sample = place(targets[:256, 1], dimensions, box, settings.margin_A, rng)
        network.standardize.fit(draw_images(config, sample, box))
    optimizer = Muon(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.steps, cycle_momentum=False
    )
    rows: list[dict[str, Any]] = []
    for step in tqdm(range(settings.steps), desc=name, unit="step", mininterval=2.0):
        batch = targets[rng.integers(len(targets), size=settings.batch_size)]
        images = draw_images(config, place(batch[:, 1], dimensions, box, settings.margin_A, rng), box)
        wanted = torch.as_tensor((batch - centre) / spread)
        loss = (network(images) - wanted).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, settings.steps // 20) == 0 and held:
            errors = np.abs(_predict(network, config, held, box) * spread + centre - _targets(held)).mean(axis=0)
            rows.append(
                {
                    "step": step + 1,
                    "valid_energy_mae_meV": keys.MEV_PER_EV * errors[0],
                    "valid_separation_mae_A": errors[1],
                    "loss": loss.item(),
                }
            )
    network.eval()
    with atomic_path(curve) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    potential = Potential(network, {}, float(spread[0]), float(centre[0]))
    metadata = {
        "name": name,
        "training": asdict(settings),
        "n_train": len(learned),
        "outputs": ["energy", SEPARATION],
        "output_mean": centre.tolist(),
        "output_std": spread.tolist(),
        "box_A": box,
    }
    save_model(path, potential, metadata)
    return {part: predict_dimers(potential, metadata, chosen) for part, chosen in tested.items()}


def predict_dimers(potential: Potential, metadata: Mapping[str, Any], structures: Sequence[Atoms]) -> pd.DataFrame:
    """Predictions of labelled dimers: columns of `keys.PREDICTION_COLUMNS` and true and predicted separation, Angstrom.

    `metadata` is what `train_dimers` wrote beside the weights: the box, and mean and spread of both outputs.
    """
    network, config = potential.network, potential.network.config
    scaled = _predict(network, config, structures, metadata["box_A"])
    return _table(structures, scaled * np.array(metadata["output_std"]) + np.array(metadata["output_mean"]))


def _targets(structures: Sequence[Atoms]) -> np.ndarray:
    return np.array([[atoms.info[keys.REF_ENERGY], atoms.info[SEPARATION]] for atoms in structures]).reshape(-1, 2)


def _predict(network: torch.nn.Module, config: ModelConfig, structures: Sequence[Atoms], box: float) -> np.ndarray:
    """Scaled outputs (B, 2) at the structures' own places."""
    found = [np.zeros((0, 2))]
    # Image axes run (z,) y, x against positions x, y (, z): rasterize_open knows.
    positions = np.array([atoms.positions[:, : config.dims] for atoms in structures])
    with torch.no_grad():
        for first in range(0, len(structures), 256):
            found.append(network(draw_images(config, positions[first : first + 256], box)).double().numpy())
    return np.concatenate(found)


def _table(structures: Sequence[Atoms], predicted: np.ndarray) -> pd.DataFrame:
    rows = [
        (
            atoms.info[keys.STRUCTURE_ID],
            atoms.info[keys.FAMILY],
            atoms.info[keys.SAMPLER],
            len(atoms),
            atoms.info[keys.REF_ENERGY],
            energy,
            atoms.info[SEPARATION],
            separation,
        )
        for atoms, (energy, separation) in zip(structures, predicted)
    ]
    return pd.DataFrame(rows, columns=[*keys.PREDICTION_COLUMNS, "separation_true_A", "separation_predicted_A"])
