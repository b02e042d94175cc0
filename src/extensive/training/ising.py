"""The Ising model: an EDNN that learns the energy of 8 x 8 lattices and gives it for lattices of any size.

Mills et al., Chem. Sci. 10, 4129 (2019), and the authors' example: focus 4, context 1, and on every tile a
network of dense layers 36 - 32 - 1. Energies are in units of the coupling J.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.training.optimizers import Muon

# Share of the training lattices that is held back for the curve.
HELD_BACK = 0.1
# Fewer energies have no spread, by which they are scaled.
LEAST_LEARNED = 2
# Spins that are predicted at once: bounds memory for the largest lattices.
BATCH_SPINS = 1 << 21


@dataclass(frozen=True)
class IsingSettings:
    """Keys of `training.ising`."""

    length: int = 8  # lattices of this side are trained on
    steps: int = 10_000
    batch_size: int = 256
    learning_rate: float = 3e-3
    focus_px: int = 4
    context_px: int = 1


def check_lattices(side: int, settings: IsingSettings, count: int | None = None) -> None:
    """Raise InputError unless tiles fill lattices of this side and, of `count` to train on, enough are learned from."""
    if side % settings.focus_px:
        raise InputError(
            f"training.ising.focus_px: {settings.focus_px}; lattices of side {side} are no whole number of such tiles"
        )
    if count is not None and count - held_back_of(count) < LEAST_LEARNED:
        raise InputError(
            f"structures.ising: {count} lattices of side {side}; {held_back_of(count)} is held back, and training needs"
            f" {LEAST_LEARNED} others or more"
        )


def held_back_of(count: int) -> int:
    """How many of `count` training lattices are held back."""
    return max(1, int(HELD_BACK * count))


def symmetric(spins: Tensor, energies: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A batch (B, L, L) under symmetries of the energy, one draw for all: shift, mirrors, transposition, spin
    flip.
    """
    shift, flips = rng.integers(spins.shape[-1], size=2), rng.random(4) < 0.5
    spins = torch.roll(spins, tuple(int(n) for n in shift), dims=(1, 2))
    mirrors = [axis for axis in (1, 2) if flips[axis - 1]]
    spins = torch.flip(spins, mirrors) if mirrors else spins
    spins = spins.transpose(1, 2) if flips[2] else spins
    return (-spins if flips[3] else spins), energies


def train_ising(
    lattices: Mapping[str, np.ndarray],
    settings: IsingSettings,
    seed: int,
    path: str | Path,
    curve: str | Path,
) -> Potential:
    """Train on lattices of one size: spins (n, L, L) of +-1, energies (n,) in J; writes the model and its
    curve.

    Raises InputError when the lattices have another side than `settings.length`, are not whole tiles, or are too few.
    """
    side = lattices["spins"].shape[-1]
    if side != settings.length:
        raise InputError(f"training.ising.length: {settings.length}, but the lattices have a side of {side}")
    check_lattices(side, settings, len(lattices["spins"]))
    torch.manual_seed(seed)
    config = ModelConfig("ednn", "mlp", pixel_size_A=1.0, focus_px=settings.focus_px, context_px=settings.context_px)
    network = build_model(config)
    spins = torch.as_tensor(lattices["spins"], dtype=torch.float32)
    energies = torch.as_tensor(lattices["energies"], dtype=torch.float64)
    n_held = held_back_of(len(spins))
    # Lattices of one energy have no spread.
    scale = float(energies[n_held:].std()) / (side // settings.focus_px) or 1.0
    potential = Potential(network, {}, scale)
    # With Adam as long, the median error is ten times this one's.
    optimizer = Muon(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.steps, final_div_factor=1e3, cycle_momentum=False
    )
    rng = np.random.default_rng([seed, 3])
    rows: list[dict[str, Any]] = []
    for step in tqdm(range(settings.steps), desc="ising", unit="step", mininterval=2.0):
        chosen = torch.as_tensor(rng.integers(n_held, len(spins), size=settings.batch_size))
        batch, wanted = symmetric(spins[chosen], energies[chosen], rng)
        loss = (network(batch[:, None]) - wanted / scale).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, settings.steps // 20) == 0:
            errors = (_predict(potential, spins[:n_held]) - energies[:n_held].numpy()) / side**2
            rows.append({"step": step + 1, "valid_mae_per_spin_J": np.abs(errors).mean(), "loss": loss.item()})
    network.eval()
    with atomic_path(curve) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    save_model(path, potential, {"name": "ising", "training": asdict(settings), "n_train": len(spins) - n_held})
    return potential


def _predict(potential: Potential, spins: Tensor) -> np.ndarray:
    """Energies (n,) in J, some lattices at a time."""
    step = max(1, BATCH_SPINS // spins.shape[-1] ** 2)
    with torch.no_grad():
        parts = [potential.network(part[:, None].float()) for part in torch.split(spins, step)]
    return potential.energy_scale_eV * torch.cat(parts).numpy()


def predict_ising(potential: Potential, lattices: Mapping[str, np.ndarray], held_back: bool) -> pd.DataFrame:
    """Predictions table of lattices of any size; of the training size (`held_back`) only those not trained
    on.
    """
    spins, energies = torch.as_tensor(lattices["spins"]), np.asarray(lattices["energies"])
    if held_back:
        count = held_back_of(len(spins))
        spins, energies = spins[:count], energies[:count]
    side = spins.shape[-1]
    return pd.DataFrame(
        {
            "structure_id": [f"ising-{side}-{index:05d}" for index in range(len(spins))],
            "family": "ising",
            "sampler": "metropolis",
            "n_atoms": side * side,
            "energy_dft_eV": energies,
            "energy_predicted_eV": _predict(potential, spins),
        },
        columns=list(keys.PREDICTION_COLUMNS),
    )
