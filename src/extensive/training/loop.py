"""The training loop: energies, or energies and forces; resumable, and the same to the bit on a CPU.

An epoch is determined by (seed, epoch) alone, so a training that is killed and started again repeats at most
the epochs since its last checkpoint and ends with the same weights as one that ran through.
"""

import copy
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from extensive import keys
from extensive.errors import InputError
from extensive.images.oblique import Torus
from extensive.models import Potential
from extensive.models.equilibration import total_energy
from extensive.models.functions import cuda_convolutions
from extensive.models.stress import strained_images
from extensive.training.augment import Sheet
from extensive.training.charges import auxiliary_weight
from extensive.training.checkpoint import load_checkpoint, save_checkpoint
from extensive.training.data import Group, ShapeRule, evaluation_batches, training_batches
from extensive.training.optimizers import optimizer_of
from extensive.training.ranks import Ranks
from extensive.training.scaling import LossUnits, fit_output, fit_units
from extensive.training.settings import TrainingSettings

# Training structures that the curve shows the error of where there are none for validation.
WITHOUT_VALIDATION = 100
# A checkpoint costs milliseconds; one this often bounds what a kill can lose.
CHECKPOINT_EVERY_S = 15.0


@dataclass
class Result:
    """What a training leaves: `potential` holds the averaged weights if there are any."""

    potential: Potential
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0  # over all sessions of this training
    samples_per_second: float = 0.0


def rate_factor(step: int, steps: int, settings: TrainingSettings) -> float:
    """Factor on the learning rate at `step` of `steps`: 1 for 'constant', else linear warm-up and cosine
    decay.
    """
    if settings.schedule == "constant":
        return 1.0
    warm = max(1, round(settings.warmup * steps))
    if step < warm:
        return (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return settings.final_rate + (1.0 - settings.final_rate) * 0.5 * (1.0 + math.cos(math.pi * progress))


def energy_weight(step: int, steps: int, settings: TrainingSettings) -> float:
    """Weight of the energies at `step` of `steps`, going geometrically from `energy_weight` to its final value.

    Forces are learned first, energies are brought in line later: a heavy weight from the start hides the forces.
    """
    first, last = settings.energy_weight, settings.final_energy_weight
    if last is None or first == 0 or last == 0:
        return first
    return first * (last / first) ** (step / max(1, steps - 1))


def _penalty(errors: Tensor, settings: TrainingSettings) -> Tensor:
    if settings.loss == "mse":
        return errors.square()
    size = errors.abs()
    return torch.where(
        size < settings.huber_delta, size.square(), settings.huber_delta * (2.0 * size - settings.huber_delta)
    )


class Errors(NamedTuple):
    """Errors of a group: of total energies (B,), eV; of forces (A, 2), eV/Angstrom, where it has them; of charges (B,),
    electrons, where they have an auxiliary loss, 0 of a structure that has none; of the stress in the plane (B, 3), xx,
    yy and xy of dE/d(strain) over the area, eV/Angstrom^2, where it is learned, nan of a structure that has none.
    """

    energies: Tensor
    forces: Tensor | None
    charges: Tensor | None
    stress: Tensor | None = None


def group_errors(potential: Potential, group: Group, training: bool) -> Errors:
    """Errors of a group's structures; the auxiliary loss on charges is of `training` only."""
    atoms = group.atoms
    if group.forces is not None:
        atoms.positions.requires_grad_(True)
    variables = [] if group.forces is None else [atoms.positions]
    if group.strain_gradients is not None:
        images, pitch, torus, strains, areas = _strained(potential, group)
        variables, rotated = [*variables, strains], {"twist": torus.twist}
    elif group.torus is not None:
        images, pitch = potential.oblique_images(atoms, group.pixels, group.torus)
        rotated = {"twist": group.torus.twist}
    else:
        images = potential.images(atoms, group.shape) if group.images is None else group.images
        pitch, rotated = potential.pitch(atoms, group.shape), {}
    charges = None
    if training and group.charges is not None:
        sums = potential.network.sums(images, pitch, **rotated)
        output, charges = total_energy(sums), torch.where(group.charges.isnan(), 0.0, sums[:, 1] - group.charges)
    else:
        output = potential.network(images, pitch, **rotated)
    energies = potential.energy_shift_eV + potential.energy_scale_eV * output
    if not variables:
        return Errors(energies - group.energies, None, charges)
    gradients = torch.autograd.grad(energies.sum(), variables, create_graph=training)
    forces = stress = None
    if group.forces is not None:
        forces = -gradients[0] - group.forces
    if group.strain_gradients is not None:
        known = group.strain_gradients  # on the network's device, where strains need not be: see `_to`
        errors = (gradients[-1].to(known) - known) / areas.to(known)[:, None, None]
        stress = torch.stack([errors[:, 0, 0], errors[:, 1, 1], errors[:, 0, 1]], dim=1)
    return Errors(energies - group.energies, forces, charges, stress)


def _strained(potential: Potential, group: Group) -> tuple[Tensor, Tensor | None, Torus, Tensor, Tensor]:
    """Images and pixels of a group at strains (B, 2, 2) that are zero, the torus, the strains, and areas (B,)."""
    atoms, torus, pixels = group.atoms, group.torus, group.pixels
    if torus is None:
        torus = Torus(group.shape, 0)
        pixels = torch.diag_embed(atoms.cells / atoms.cells.new_tensor(group.shape[::-1]))
    strains = torch.zeros_like(pixels).requires_grad_(True)
    images, pitch = strained_images(potential, atoms, pixels, torus, strains)
    areas = torch.linalg.det(pixels) * math.prod(torus.shape)
    return images, pitch, torus, strains, areas


def _backward(
    potential: Potential,
    groups: list[Group],
    n_structures: int,
    n_atoms: int,
    units: LossUnits,
    settings: TrainingSettings,
    weight: float,
    auxiliary: float = 0.0,
) -> Tensor:
    """Accumulate the gradient of a step's loss, a mean over `n_structures`, over some of its groups; their loss ().

    `weight` is that of the energies at this step, `auxiliary` that of charges.
    """
    n_components = 2 * n_atoms
    # A number would be waited for, while a GPU could be given more to do.
    total = torch.zeros((), dtype=torch.float64, device=next(potential.network.parameters()).device)
    for group in groups:
        energy_errors, force_errors, charge_errors, stress_errors = group_errors(potential, group, training=True)
        if units.per_atom:
            energy_errors = energy_errors / group.counts
        loss = weight * _penalty(energy_errors / units.energy, settings).sum() / n_structures
        if force_errors is not None:
            penalty = _penalty(force_errors / units.forces, settings).sum()
            loss = loss + settings.forces_weight * penalty / n_components
        if stress_errors is not None:
            known = torch.where(stress_errors.isnan(), 0.0, stress_errors)
            penalty = _penalty(known / units.stress, settings).sum()
            loss = loss + settings.stress_weight * penalty / (3 * n_structures)
        if charge_errors is not None and auxiliary:
            loss = loss + auxiliary * charge_errors.square().sum() / n_structures
        loss.backward()
        total += loss.detach()
    return total


def mean_errors(potential: Potential, sheets: Sequence[Sheet], shape_of: ShapeRule) -> tuple[float, float, float]:
    """Mean absolute errors over `sheets`: energies in meV/atom, forces in meV/Angstrom and stress in meV/Angstrom^2
    (nan without).
    """
    per_atom: list[Tensor] = []
    components: list[Tensor] = []
    stresses: list[Tensor] = []
    device = next(potential.network.parameters()).device
    for group in evaluation_batches(sheets, shape_of):
        group = _to(group, device)
        with torch.set_grad_enabled(group.forces is not None or group.strain_gradients is not None):
            energies, forces, _, stress = group_errors(potential, group, training=False)
        per_atom.append((energies.detach() / group.counts).abs())
        if forces is not None:
            components.append(forces.detach().abs().flatten())
        if stress is not None:
            stresses.append(stress[~stress.isnan()].detach().abs())
    energy, force, stress = (
        keys.MEV_PER_EV * float(torch.cat(parts).mean()) if parts else math.nan
        for parts in (per_atom, components, stresses)
    )
    return energy, force, stress


def _to(group: Group, device: torch.device) -> Group:
    if device.type == "cpu":
        return group
    # Not the pixels' matrices of 2 x 2, whose algebra a GPU is slow at.
    moved = {
        name: getattr(group, name) for name in ("energies", "forces", "counts", "charges", "images", "strain_gradients")
    }
    moved = {name: None if value is None else value.to(device) for name, value in moved.items()}
    return replace(group, atoms=group.atoms.to(device), **moved)


def train(
    potential: Potential,
    train_sheets: Sequence[Sheet],
    valid_sheets: Sequence[Sheet],
    settings: TrainingSettings,
    shape_of: ShapeRule,
    device: torch.device,
    checkpoints: Path | None = None,
    stamp: str = "",
    progress: str = "training",
    ranks: Ranks | None = None,
    fresh: bool = True,
) -> Result:
    """Train the network of `potential` in place; each of several `ranks` ends with the same.

    A `fresh` one, which goes on from no earlier training, gets its scale and the statistics of its images first.

    Continues from the folder `checkpoints` if what lies there bears this training's `stamp`. Raises
    InputError for an empty training set, and for a loss that is no longer finite.
    """
    if not train_sheets:
        raise InputError(f"{progress}: the training set is empty")
    ranks = ranks or Ranks()
    if fresh:
        fit_output(potential, train_sheets, settings.scaling, shape_of)
    units = fit_units(train_sheets, settings.scaling)
    potential.to(device)
    averaged = copy.deepcopy(potential) if settings.ema else potential
    optimizer = optimizer_of(potential.network.parameters(), settings)
    per_epoch = math.ceil(len(train_sheets) / settings.batch_size)
    epochs = max(1, round(settings.samples / len(train_sheets)))
    every = max(1, round(epochs / settings.validations))
    result = Result(averaged)
    start = 0
    state = load_checkpoint(checkpoints, stamp, device) if checkpoints else None
    if state is not None:
        potential.network.load_state_dict(state["network"])
        averaged.network.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        start, result.curve, result.seconds = state["epoch"], state["curve"], state["seconds"]
    clock = saved = time.perf_counter()
    before = result.seconds
    precision = "tf32" if settings.mixed_precision else "ieee"
    quiet = not ranks.first or bool(os.environ.get("TQDM_DISABLE"))
    bar = tqdm(
        range(start, epochs),
        desc=progress,
        initial=start,
        total=epochs,
        unit="epoch",
        mininterval=2.0,
        disable=quiet or None,  # None: shown on terminals alone
    )
    for epoch in bar:
        rng = np.random.default_rng([settings.seed, epoch])
        shares = []
        batches = training_batches(
            train_sheets, settings.batch_size, settings.augmentation, shape_of, rng, ranks, epoch / epochs
        )
        for index, (groups, n_structures, n_atoms) in enumerate(batches):
            step = epoch * per_epoch + index
            rate = settings.learning_rate * rate_factor(step, epochs * per_epoch, settings)
            weight = energy_weight(step, epochs * per_epoch, settings)
            auxiliary = auxiliary_weight(step / (epochs * per_epoch))
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            groups = [_to(group, device) for group in groups]
            with cuda_convolutions(precision):
                share = _backward(potential, groups, n_structures, n_atoms, units, settings, weight, auxiliary)
            shares.append(ranks.sum_gradients(potential.network.parameters(), share))
            if settings.clip_norm:
                torch.nn.utils.clip_grad_norm_(potential.network.parameters(), settings.clip_norm)
            optimizer.step()
            if settings.ema:
                _average(averaged, potential, min(settings.ema, (1 + step) / (10 + step)))
        loss = float(sum(shares))
        if not math.isfinite(loss):
            raise InputError(f"{progress}: the loss is {loss} in epoch {epoch}; lower training.learning_rate")
        result.seconds = before + time.perf_counter() - clock
        last = epoch + 1 == epochs
        if (epoch + 1) % every == 0 or last:
            row = _curve_row(averaged, train_sheets, valid_sheets, shape_of)
            row |= {"loss": loss / per_epoch, "learning_rate": rate, "seconds": result.seconds}
            result.curve.append({"epoch": epoch + 1, **row})
            bar.set_postfix_str(f"validation {row['valid_energy_mae_meV_per_atom']:.2f} meV/atom")
        if checkpoints and ranks.first and (last or time.perf_counter() - saved > CHECKPOINT_EVERY_S):
            save_checkpoint(checkpoints, stamp, _state(potential, averaged, optimizer, epoch + 1, result))
            saved = time.perf_counter()
    result.samples_per_second = epochs * len(train_sheets) / max(result.seconds, 1e-9)
    return result


def _average(averaged: Potential, potential: Potential, decay: float) -> None:
    with torch.no_grad():
        news = [parameter.detach() for parameter in potential.network.parameters()]
        torch._foreach_lerp_(list(averaged.network.parameters()), news, 1.0 - decay)


def _curve_row(
    potential: Potential, train_sheets: Sequence[Sheet], valid_sheets: Sequence[Sheet], shape_of: ShapeRule
) -> dict[str, float]:
    # As many training structures as validation ones: the gap between the two is what the curve shows.
    some = train_sheets[:: max(1, len(train_sheets) // (len(valid_sheets) or WITHOUT_VALIDATION))]
    train_energy, train_forces, train_stress = mean_errors(potential, some, shape_of)
    valid_energy, valid_forces, valid_stress = mean_errors(potential, valid_sheets, shape_of)
    stress = {"train_stress_mae_meV_per_A2": train_stress, "valid_stress_mae_meV_per_A2": valid_stress}
    learned = any(sheet.strain_gradient is not None for sheet in train_sheets)
    return {
        "train_energy_mae_meV_per_atom": train_energy,
        "valid_energy_mae_meV_per_atom": valid_energy,
        "train_forces_mae_meV_per_A": train_forces,
        "valid_forces_mae_meV_per_A": valid_forces,
        **(stress if learned else {}),
    }


def _state(
    potential: Potential, averaged: Potential, optimizer: torch.optim.Optimizer, epoch: int, result: Result
) -> dict[str, Any]:
    return {
        "network": potential.network.state_dict(),
        "averaged": averaged.network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "curve": result.curve,
        "seconds": result.seconds,
    }
