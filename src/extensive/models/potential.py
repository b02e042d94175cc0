"""A trained network as a potential energy: structures in, energies (eV) and forces (eV/Angstrom) out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from torch import Tensor, nn

from extensive.errors import InputError
from extensive.images.oblique import Torus, pixel_features, rasterize_oblique, torus_of
from extensive.images.placement import MOST_ATOMS, Grid, Placed, choose_grid, place
from extensive.images.raster import (
    AtomBatch,
    batch_of,
    channel_weights,
    image_shape,
    pitch_features,
    rasterize_batch,
)
from extensive.models.cnn import CNN
from extensive.models.config import ModelConfig
from extensive.models.domain import known_zigzag, largest_pitch
from extensive.models.ednn import EDNN
from extensive.structures.frame import Frame, frame_of, name_of


def build_model(config: ModelConfig) -> CNN | EDNN:
    """The network that `config` describes, freshly initialised from torch's random state."""
    return EDNN(config) if config.network == "ednn" else CNN(config)


class Part(NamedTuple):
    """Sheets that are evaluated together."""

    indices: list[int]  # (B,) | which of the structures
    copies: np.ndarray  # (B,) | cells of each in its image
    batch: AtomBatch
    shape: tuple[int, int]
    torus: Torus | None = None  # of a sheared grid
    pixels: Tensor | None = None  # (1, 2, 2) | and its steps, Angstrom


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
        self.rounding: dict[str, Any] | None = None  # what bfloat16 rounds of these weights, where it was measured
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
        """Images (B, C, H, W) of sheets rotated against a grid of pixel steps (B, 2, 2), and pitch features (B, 3)."""
        weights = channel_weights(batch.numbers, self.config.channels, batch.positions.dtype)
        images = rasterize_oblique(batch.positions, weights, batch.index, matrices, torus, self.config.sigma_A)
        pitch = pixel_features(matrices, self.config.pixel_size_A).to(images) if self.config.pitch_channels else None
        return images, pitch

    def pitch(self, batch: AtomBatch, shape: tuple[int, int]) -> Tensor | None:
        """Pitch features (B, 2), or None for a network that is not conditioned on them."""
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

    @property
    def zigzag(self) -> float | None:
        """Angle from x (radians) at which the network knows zigzag rows; None: along x and y."""
        return known_zigzag(self.config.symmetry, self.metadata)

    def grid_of(self, frame: Frame, name: str = "structure", most_atoms: int = MOST_ATOMS) -> Grid:
        """The pixel grid that a sheet is drawn on, of several cells only up to `most_atoms`.

        Raises InputError where there is none that the network takes.
        """
        size, multiple = self.config.pixel_size_A, self.multiple_px
        allowed = None
        if self.config.network == "ednn":
            allowed = largest_pitch(multiple, size, self.metadata)
        shears = getattr(self.network, "can_fuse", False)
        grid = choose_grid(frame, size, multiple, self.zigzag, allowed, shears, most_atoms)
        if grid is None:
            takes = "no grid of nearly square pixels has its periods; repeat the cell"
            if not shears:
                takes = (
                    f"a {self.config.network} of form {self.config.form!r} takes cells that have a small rectangle only"
                )
            raise InputError(f"{name}: the cell {frame.vectors.round(3).tolist()} in its plane: {takes}")
        return grid

    @property
    def multiple_px(self) -> int:
        """What sides of images are multiples of."""
        return getattr(self.network, "multiple_px", 1)

    def lay(self, sheet: Atoms | Placed) -> Placed:
        """A sheet on the grid that the network is given it on; InputError for what is no flat periodic sheet."""
        if isinstance(sheet, Placed):
            return sheet
        frame, grid = self.frame_and_grid(sheet)
        return place(frame, sheet.numbers, grid)

    def frame_and_grid(self, sheet: Atoms) -> tuple[Frame, Grid]:
        """A sheet's frame and the grid that it is laid on; InputError for what is no flat periodic sheet."""
        frame = frame_of(sheet)
        return frame, self.grid_of(frame, f"structure {name_of(sheet)}")

    def energies(
        self, structures: Sequence[Atoms | Placed], mode: str | None = None, batch_atoms: int = 4096
    ) -> np.ndarray:
        """Energies (B,), eV, of any flat periodic sheets, or of sheets that `lay` has laid on their grids.

        Raises InputError for structures that are none, and for unknown elements.
        """
        result = np.zeros(len(structures))
        with torch.no_grad():
            for part in self._batches([self.lay(sheet) for sheet in structures], batch_atoms):
                result[part.indices] = self._energies(part, part.batch, mode).cpu().numpy() / part.copies
        return result

    def energies_and_forces(
        self, structures: Sequence[Atoms | Placed], mode: str | None = None, batch_atoms: int = 4096
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Energies (B,), eV, and for each structure forces (N, 3), eV/Angstrom, zero out of its plane.

        Forces are in the user's axes; of a sheet that is laid already, in those of its grid's plane.
        """
        energies = np.zeros(len(structures))
        placed = [self.lay(sheet) for sheet in structures]
        forces: list[np.ndarray] = [np.empty((0, 3))] * len(structures)
        for part in self._batches(placed, batch_atoms):
            positions = part.batch.positions.detach().requires_grad_(True)
            batch = AtomBatch(positions, part.batch.numbers, part.batch.index, part.batch.cells)
            with torch.enable_grad():
                energy = self._energies(part, batch, mode)
                (gradient,) = torch.autograd.grad(energy.sum(), positions)
            energies[part.indices] = energy.detach().cpu().numpy() / part.copies
            ends = np.cumsum([len(placed[i]) for i in part.indices])[:-1]
            for i, found in zip(part.indices, np.split(-gradient.cpu().double().numpy(), ends), strict=True):
                forces[i] = self._forces_on(structures[i], placed[i], found)
        return energies, forces

    @staticmethod
    def _forces_on(sheet: Atoms | Placed, placed: Placed, found: np.ndarray) -> np.ndarray:
        if isinstance(sheet, Placed):
            return np.column_stack([found, np.zeros(len(found))])
        return frame_of(sheet).back(placed.back(found))

    def _energies(self, part: Part, batch: AtomBatch, mode: str | None) -> Tensor:
        """Energies (B,) of the images of one batch, copies of cells and all."""
        if part.torus is None:
            return self(batch, part.shape, mode)
        images, pitch = self.oblique_images(batch, part.pixels, part.torus)
        images, pitch = images.to(self.dtype), None if pitch is None else pitch.to(self.dtype)
        output = self.network(images, pitch, None, part.torus.twist)
        return self.reference(batch) + self.energy_shift_eV + self.energy_scale_eV * output

    def _batches(self, sheets: Sequence[Placed], batch_atoms: int) -> Iterator[Part]:
        """Sheets grouped by image, a bounded number of atoms at a time; sheared grids hold one sheet each."""
        device = next(self.network.parameters()).device
        dtype = torch.promote_types(self.dtype, torch.float32)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for i, sheet in enumerate(sheets):
            if sheet.upright:
                by_shape.setdefault(self.image_shape(sheet.cell), []).append(i)
        for shape, members in by_shape.items():
            group, n_atoms = [], 0
            for i in [*members, None]:
                if group and (i is None or n_atoms + len(sheets[i]) > batch_atoms):
                    chosen = [sheets[j] for j in group]
                    cells = np.array([sheet.cell for sheet in chosen])
                    batch = batch_of([s.positions for s in chosen], [s.numbers for s in chosen], cells, dtype, device)
                    yield Part(group, np.array([sheet.copies for sheet in chosen]), batch, shape)
                    group, n_atoms = [], 0
                if i is not None:
                    group.append(i)
                    n_atoms += len(sheets[i])
        for i, sheet in enumerate(sheets):
            if not sheet.upright:
                torus = torus_of(sheet.periods)
                places = torch.as_tensor(sheet.positions, dtype=dtype, device=device)
                numbers = torch.as_tensor(sheet.numbers, dtype=torch.int64, device=device)
                cells = torch.as_tensor(np.linalg.norm(sheet.vectors, axis=1), dtype=dtype, device=device)
                batch = AtomBatch(places, numbers, torch.zeros_like(numbers), cells[None])
                pixels = torch.as_tensor(sheet.pixels_A, dtype=dtype)[None]
                yield Part([i], np.array([sheet.copies]), batch, torus.shape, torus, pixels)
