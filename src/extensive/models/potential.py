"""A trained network as a potential energy: structures in, energies (eV) and forces (eV/Angstrom) out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from torch import Tensor, nn

from extensive.errors import InputError
from extensive.images.oblique import Torus, pixel_features, rasterize_oblique
from extensive.images.raster import (
    AtomBatch,
    batch_from_atoms,
    channel_weights,
    image_shape,
    pitch_features,
    rasterize_batch,
)
from extensive.models.cnn import CNN
from extensive.models.config import ModelConfig
from extensive.models.ednn import EDNN


def build_model(config: ModelConfig) -> CNN | EDNN:
    """The network that `config` describes, freshly initialised from torch's random state."""
    return EDNN(config) if config.network == "ednn" else CNN(config)


class Potential(nn.Module):
    """E = sum_i e(element_i) + shift + scale * network(image).

    Holds all that evaluation, timing and the calculator need: network, raster settings (in `config`),
    per-element reference energies (eV), energy scale and shift (eV), and metadata that travels with the
    weights.
    """

    def __init__(
        self,
        network: CNN | EDNN,
        reference_energies_eV: Mapping[str, float],
        energy_scale_eV: float = 1.0,
        energy_shift_eV: float = 0.0,
        metadata: Mapping[str, Any] | None = None,
    ):
        """Raises InputError for a shift of an EDNN: a constant is not extensive."""
        super().__init__()
        self.network = network
        self.reference_energies_eV = {str(k): float(v) for k, v in reference_energies_eV.items()}
        self.energy_scale_eV = float(energy_scale_eV)
        self.energy_shift_eV = float(energy_shift_eV)
        self.metadata = dict(metadata or {})
        if isinstance(network, EDNN) and self.energy_shift_eV != 0.0:
            raise InputError(f"energy_shift_eV: {energy_shift_eV}; it must be 0 for an ednn, which is extensive")
        table = torch.full((119,), torch.nan, dtype=torch.float64)
        for symbol, value in self.reference_energies_eV.items():
            table[atomic_numbers[symbol]] = value
        self._table = table

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.network.config

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network's weights."""
        return next(self.network.parameters()).dtype

    @property
    def elements(self) -> list[str]:
        """Elements that the potential knows."""
        return list(self.reference_energies_eV)

    def image_shape(self, cell: Sequence[float]) -> tuple[int, int]:
        """Shape (H, W) of the image that the network is given of a cell (Lx, Ly), Angstrom."""
        if self.config.network == "cnn":
            return self.config.image_px, self.config.image_px
        return image_shape(cell, self.config.pixel_size_A, self.network.multiple_px)

    def images(self, batch: AtomBatch, shape: tuple[int, int]) -> Tensor:
        """Images (B, C, H, W) of a batch."""
        return rasterize_batch(batch, shape, self.config.channels, self.config.sigma_A)

    def oblique_images(self, batch: AtomBatch, matrices: Tensor, torus: Torus) -> tuple[Tensor, Tensor | None]:
        """Images (B, C, H, W) of sheets turned against a grid of pixel steps (B, 2, 2), and pitch features (B, 3)."""
        weights = channel_weights(batch.numbers, self.config.channels, batch.positions.dtype)
        images = rasterize_oblique(batch.positions, weights, batch.index, matrices, torus, self.config.sigma_A)
        pitch = pixel_features(matrices, self.config.pixel_size_A).to(images) if self.config.pitch_channels else None
        return images, pitch

    def pitch(self, batch: AtomBatch, shape: tuple[int, int]) -> Tensor | None:
        """Pitch features (B, 2), or None for a network that is not told them."""
        return pitch_features(batch.cells, shape, self.config.pixel_size_A) if self.config.pitch_channels else None

    def reference(self, batch: AtomBatch) -> Tensor:
        """Sums of per-element reference energies, (B,), eV, float64; InputError for an unknown element."""
        values = self._table.to(batch.numbers.device)[batch.numbers]
        if bool(values.isnan().any()):
            unknown = int(batch.numbers[values.isnan()][0])
            raise InputError(f"atomic number {unknown} is unknown to this model; it knows {self.elements}")
        return values.new_zeros(len(batch)).index_add(0, batch.index, values)

    def forward(self, batch: AtomBatch, shape: tuple[int, int], mode: str | None = None) -> Tensor:
        """Energies (B,), eV, float64, of structures that share one image `shape`; differentiable twice."""
        images, pitch = self.images(batch, shape), self.pitch(batch, shape)
        if images.dtype != self.dtype:  # a bfloat16 network still needs its atoms where they are
            images, pitch = images.to(self.dtype), None if pitch is None else pitch.to(self.dtype)
        output = self.network(images, pitch, mode)
        return self.reference(batch) + self.energy_shift_eV + self.energy_scale_eV * output

    def energy_and_forces(
        self, batch: AtomBatch, shape: tuple[int, int], mode: str | None = None, create_graph: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Energies (B,), eV, and in-plane forces -dE/dr (A, 2), eV/A; `create_graph` to train on them."""
        positions = batch.positions.detach().requires_grad_(True)
        batch = AtomBatch(positions, batch.numbers, batch.index, batch.cells)
        with torch.enable_grad():
            energy = self(batch, shape, mode)
            (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=create_graph)
        return (energy if create_graph else energy.detach()), -gradient

    def energies(self, structures: Sequence[Atoms], mode: str | None = None, batch_atoms: int = 4096) -> np.ndarray:
        """Energies (B,), eV, of any flat periodic sheets.

        Raises InputError for structures that are none, and for unknown elements.
        """
        result = np.zeros(len(structures))
        with torch.no_grad():
            for indices, batch, shape in self._batches(structures, batch_atoms):
                result[indices] = self(batch, shape, mode).cpu().numpy()
        return result

    def energies_and_forces(
        self, structures: Sequence[Atoms], mode: str | None = None, batch_atoms: int = 4096
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Energies (B,), eV, and for each structure forces (N, 3), eV/Angstrom, zero out of the plane."""
        energies = np.zeros(len(structures))
        forces = [np.zeros((len(atoms), 3)) for atoms in structures]
        for indices, batch, shape in self._batches(structures, batch_atoms):
            energy, force = self.energy_and_forces(batch, shape, mode)
            energies[indices] = energy.cpu().numpy()
            parts = np.split(force.cpu().double().numpy(), np.cumsum([len(structures[i]) for i in indices])[:-1])
            for i, part in zip(indices, parts, strict=True):
                forces[i][:, :2] = part
        return energies, forces

    def _batches(
        self, structures: Sequence[Atoms], batch_atoms: int
    ) -> Iterator[tuple[list[int], AtomBatch, tuple[int, int]]]:
        """Structures grouped by image shape, a bounded number of atoms at a time."""
        device = next(self.network.parameters()).device
        dtype = torch.promote_types(self.dtype, torch.float32)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for i, atoms in enumerate(structures):
            by_shape.setdefault(self.image_shape(np.diag(atoms.cell)), []).append(i)
        for shape, members in by_shape.items():
            group, n_atoms = [], 0
            for i in [*members, None]:
                if group and (i is None or n_atoms + len(structures[i]) > batch_atoms):
                    chosen = [structures[j] for j in group]
                    yield group, batch_from_atoms(chosen, dtype, device), shape
                    group, n_atoms = [], 0
                if i is not None:
                    group.append(i)
                    n_atoms += len(structures[i])
