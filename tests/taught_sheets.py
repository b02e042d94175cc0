"""Small sheets whose labels come from a teacher: a smooth repulsion of pairs, differentiated by torch."""

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from extensive import keys
from extensive.models import load_model
from extensive.training.fit import train_model

DISTANCE = 1.42


def teacher_energy(positions: torch.Tensor, numbers: np.ndarray, cell: torch.Tensor) -> torch.Tensor:
    """A cheap teacher: smooth repulsion of all pairs, over the nearest periodic images."""
    shifts = torch.tensor([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)]) * cell
    delta = positions[None, :, None] - positions[:, None, None] + shifts
    kinds = torch.as_tensor(numbers, dtype=torch.float64) / 6.0
    pairs = torch.exp(-(delta**2).sum(-1) / 0.9**2).sum(-1)
    return 10.0 * (kinds[:, None] * kinds[None] * pairs).sum()


def sheet(index: int, dataset: str = "graphene-rattle", family: str = "graphene", sampler: str = "rattle") -> Atoms:
    """Eight atoms of a rattled, strained sheet, labelled by the teacher; hBN where the family says so."""
    rng = np.random.default_rng([7, index, len(dataset)])
    a = DISTANCE * np.sqrt(3.0)
    cell = np.array([2 * a, np.sqrt(3.0) * a]) * (1.0 + 0.03 * rng.uniform(-1, 1, 2))
    fractions = np.array([(0.0, 1 / 6), (0.5, 1 / 3), (0.5, 2 / 3), (0.0, 5 / 6)])
    fractions = np.concatenate([(fractions + (shift, 0.0)) / (2.0, 1.0) for shift in (0.0, 1.0)])
    positions = fractions * cell + rng.normal(scale=0.04, size=(8, 2))
    numbers = np.array([5, 7, 5, 7] * 2 if family == "hbn" else [6] * 8)
    variable = torch.tensor(positions, requires_grad=True)
    energy = teacher_energy(variable, numbers, torch.tensor(cell))
    (gradient,) = torch.autograd.grad(energy, variable)
    atoms = Atoms(numbers, np.column_stack([positions, np.full(8, 5.0)]), cell=[*cell, 10.0], pbc=(True, True, False))
    name = f"{dataset}-{index:05d}"
    atoms.info.update(
        {
            keys.STRUCTURE_ID: name,
            keys.DATASET: dataset,
            keys.FAMILY: family,
            keys.SAMPLER: sampler,
            keys.PARENT: name,
            keys.REF_ENERGY: energy.item() - 9.0 * 8,
        }
    )
    atoms.arrays[keys.REF_FORCES] = np.column_stack([-gradient.numpy(), np.zeros(8)])
    return atoms


def frame(index: int, parent: str, dataset: str) -> Atoms:
    atoms = sheet(index, dataset, sampler="md")
    atoms.info[keys.PARENT] = parent
    return atoms


def curves_on(devices, structures: list[Atoms], name: str, model: dict, folder) -> dict[str, pd.DataFrame]:
    """Curves of one training, of its eight first structures, on each of `devices`; they end up in what is written."""
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names[:8], "validation": names[8:]}
    curves = {}
    for device in devices:
        paths = folder / device, folder / f"{device}.csv", device
        train_model(name, model, structures, splits, *paths)
        curves[device] = pd.read_csv(paths[1])
        assert load_model(paths[0]).metadata["device"] == device
    return curves


SETS = {
    "graphene-rattle": "development",
    "graphene-md": "development",
    "graphene-md-independent": "independent-md",
}


def mixture(count: int = 40) -> list[Atoms]:
    return [
        *(sheet(i) for i in range(count)),
        *(frame(i, "graphene-md-a", "graphene-md") for i in range(8)),
        *(frame(i, "graphene-md-independent-a", "graphene-md-independent") for i in range(4)),
    ]
