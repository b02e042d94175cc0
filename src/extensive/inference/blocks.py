"""Raster and network fused, block by block: positions in, what each block of the image adds to the energy out.

A block of the image is rasterized with its context and goes through the network while it is in cache; only sums
leave, in float64. Small cells are one block that wraps around itself. `stream` and `forces` add blocks up, and
`engine` is what callers use.

A cell that is not a whole number of pixels keeps its strain: the image takes the nearest whole number, and
the network is conditioned on the true pitch along each axis (see extensive.images.raster.pitch_features).
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from torch import Tensor

from extensive.errors import InputError
from extensive.images.oblique import SkewAxes, pixel_features
from extensive.images.placement import Placed
from extensive.images.raster import pitch_features
from extensive.inference.network import DTYPES, FoldedNetwork, in_double
from extensive.inference.number_types import AUTO, choose
from extensive.inference.repeated import Placer
from extensive.inference.sources import AtomsSource, Source
from extensive.inference.strips import Strip, even_parts, strips
from extensive.inference.windows import scatter_open, scatter_periodic, window_half
from extensive.io import digest
from extensive.models import Potential
from extensive.models.equilibration import total_energy
from extensive.structures.frame import Frame

# Side of a block, in patches. On a CPU: small enough for the features to stay in cache, large enough for the
# context and the fixed cost of some twenty operations to be small beside it. On a GPU: enough work to fill
# it.
BLOCK_PATCHES = {"cpu": 192, "cuda": 1024}
# Images of up to this many blocks are evaluated in one piece.
DIRECT_BLOCKS = 2
CACHED_GRIDS = 64


@dataclass(frozen=True)
class Grid:
    """The image of one cell: shape (H, W), pitch (along y, along x) in Angstrom, and the network folded for
    it.
    """

    cell: tuple[float, float]  # Lx, Ly
    shape: tuple[int, int]
    pitch_A: tuple[float, float]
    network: FoldedNetwork
    whole: bool  # small enough to be evaluated in one piece
    axes: SkewAxes | None = None  # of sheared pixels: positions then are along their rows and columns

    @property
    def cosine(self) -> float:
        """Of the angle between rows and columns of pixels."""
        return 0.0 if self.axes is None else self.axes.cosine

    @property
    def twist(self) -> int:
        """How many pixels further along a row the next period up begins."""
        return 0 if self.axes is None else self.axes.torus.twist


class BlockEngine:
    """What blocks of an EDNN's image add to its energy, for one number type and device; see `engine.Engine`."""

    def __init__(
        self,
        potential: Potential,
        dtype: str = AUTO,
        device: str | torch.device = "cpu",
        threads: int | None = None,
        block_px: int | None = None,
    ) -> None:
        if not getattr(potential.network, "can_fuse", False):
            raise InputError(
                f"model: a {potential.config.network} of form {potential.config.form!r} cannot be streamed; the engine"
                " needs an ednn of form 'convolutional'"
            )
        if threads is not None and threads < 1:
            raise InputError(f"threads: {threads}; it must be at least 1")
        self.potential = potential
        self.dtype_name, self.why = choose(dtype, potential, device)
        self.dtype = DTYPES[self.dtype_name]
        # Images are made in float32 at least: sums of many Gaussians in bfloat16 would drift.
        self.image_dtype = torch.promote_types(self.dtype, torch.float32)
        self.device = torch.device(device)
        self.threads = threads or torch.get_num_threads()
        stride = potential.network.stride
        self.block_px = stride * (max(1, block_px // stride) if block_px else BLOCK_PATCHES[self.device.type])
        self.context_px = potential.network.context_px
        self.sigma_A = potential.config.sigma_A
        self._channel, self._weight, self._reference = _element_tables(potential)
        self._grids: OrderedDict[tuple[float, ...], Grid] = OrderedDict()
        self._fingerprint = ""
        self._placer = Placer(potential)
        self._trunk64: torch.nn.Module | None = None

    @property
    def fingerprint(self) -> str:
        """Digest of all that an energy depends on but the atoms: weights, model, number type, block size."""
        if not self._fingerprint:
            weights = hashlib.sha256()
            for name, value in sorted(self.potential.network.state_dict().items()):
                weights.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
            self._fingerprint = digest(
                {
                    "weights": weights.hexdigest(),
                    "model": self.potential.config.to_dict(),
                    "references": self.potential.reference_energies_eV,
                    "scale": self.potential.energy_scale_eV,
                    "dtype": self.dtype_name,
                    "block_px": self.block_px,
                    "device": self.device.type,
                }
            )
        return self._fingerprint

    def laid(self, sheet: Atoms | Placed) -> tuple[Frame | None, Placed]:
        """A sheet's frame and the sheet on its grid; what lies on one already has no frame.

        Raises InputError as `Potential.lay` does.
        """
        return (None, sheet) if isinstance(sheet, Placed) else self._placer.lay(sheet)

    def grid(self, cell: tuple[float, float]) -> Grid:
        """The image grid of a cell (Lx, Ly) in Angstrom; kept, since folding costs more than a small cell."""
        key = (float(cell[0]), float(cell[1]))
        if key in self._grids:
            self._grids.move_to_end(key)
            return self._grids[key]
        config = self.potential.config
        height, width = self.potential.image_shape(key)
        features = None
        if config.pitch_channels:
            cells = torch.tensor([key], dtype=torch.float64)
            features = pitch_features(cells, (height, width), config.pixel_size_A)[0]
        network = self._folded(features)
        whole = height * width <= DIRECT_BLOCKS * self.block_px**2
        grid = Grid(key, (height, width), (key[1] / height, key[0] / width), network, whole)
        return self._kept(key, grid)

    def _folded(self, features: Tensor | None) -> FoldedNetwork:
        if self._trunk64 is None:  # when it is needed: `potential` may still be converted after this was made
            self._trunk64 = in_double(self.potential.network.tile_network)
        return FoldedNetwork(self.potential.network, features, self.dtype, self.device, self._trunk64)

    def _kept(self, key: tuple[float, ...], grid: Grid) -> Grid:
        self._grids[key] = grid
        if len(self._grids) > CACHED_GRIDS:
            self._grids.popitem(last=False)
        return grid

    def sheared_grid(self, axes: SkewAxes) -> Grid:
        """The image grid of sheared pixels, kept likewise."""
        key = (*axes.pixels_A.ravel().tolist(), *axes.torus.shape, axes.torus.twist)
        if key in self._grids:
            self._grids.move_to_end(key)
            return self._grids[key]
        config, (height, width) = self.potential.config, axes.torus.shape
        features = None
        if config.pitch_channels:
            features = pixel_features(torch.from_numpy(axes.pixels_A)[None], config.pixel_size_A)[0]
        network = self._folded(features)
        # An image of few rows has no strips.
        whole = height * width <= DIRECT_BLOCKS * self.block_px**2 or height < self.context_px
        return self._kept(key, Grid(axes.cell, axes.torus.shape, axes.pitch_A, network, whole, axes))

    def grid_of(self, source: Source) -> Grid:
        """The image grid of what `source` gives atoms of."""
        return self.grid(source.cell) if source.axes is None else self.sheared_grid(source.axes)

    def direct_energy(self, atoms: Atoms | Placed) -> float:
        """Energy (eV) with the whole cell as one image: the check of the streamed one."""
        placed = self.laid(atoms)[1]
        source = AtomsSource(placed)
        return self.energy_in_one_piece(placed, source, self.grid_of(source))

    def energy_in_one_piece(self, placed: Placed, source: AtomsSource, grid: Grid) -> float:
        """The same of a sheet whose source and grid are known."""
        with torch.inference_mode(), torch_threads(self.threads):
            total = float(self.whole_cell(torch.from_numpy(source.along), placed.numbers, grid))
        return (self.reference_eV(placed.numbers) + self.potential.energy_scale_eV * total) / placed.copies

    def strips(self, grid: Grid, n_ranks: int = 1, rank: int = 0) -> list[Strip]:
        """Strips of pixel rows, of one rank; see `extensive.inference.strips`."""
        return strips(grid.shape[0], self.block_px, self.potential.network.stride, n_ranks, rank)

    def columns(self, grid: Grid) -> list[tuple[int, int]]:
        """First and last column of the blocks of a strip."""
        return even_parts(grid.shape[1], self.block_px, self.potential.network.stride)

    def reference_eV(self, numbers: np.ndarray) -> float:
        """Sum of the per-element reference energies (eV) of atoms; InputError for an element unknown to the
        model.
        """
        counts = np.bincount(numbers, minlength=len(self._reference))
        return self.reference_of_counts_eV(counts)

    def reference_of_counts_eV(self, counts: np.ndarray) -> float:
        """The same from the number of atoms of each atomic number."""
        present = np.flatnonzero(counts)
        values = self._reference[present]
        if np.isnan(values).any():
            unknown = int(present[np.isnan(values)][0])
            raise InputError(f"atomic number {unknown} is unknown to this model; it knows {self.potential.elements}")
        return float(values @ counts[present])

    def channels_of(self, numbers: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Image channel (N,) and weight (N,) of atoms; weight None means 1."""
        channel = self._channel[numbers]
        if len(channel) and channel.min() < 0:
            unknown = int(numbers[channel < 0][0])
            raise InputError(
                f"atomic number {unknown} has no image channel; the channels are {self.potential.config.channels}"
            )
        weight = None
        if self._weight is not None:
            weight = torch.from_numpy(self._weight[numbers]).to(self.device, self.image_dtype)
        return torch.from_numpy(channel).to(self.device), weight

    def whole_cell(self, positions: Tensor, numbers: np.ndarray, grid: Grid) -> Tensor:
        """Network energy (a float64 scalar, in units of the scale) of a whole periodic cell in one piece.

        positions (N, 2) Angstrom; differentiable in them.
        """
        channel, weight = self.channels_of(numbers)
        n_channels = self.potential.config.image_channels
        image = scatter_periodic(
            positions.to(self.device), channel, weight, grid.shape, grid.pitch_A, self.sigma_A, n_channels,
            self.image_dtype, grid.cosine, grid.twist,
        )  # fmt: skip
        patches = grid.network.whole_patches(image.permute(2, 0, 1)[None], grid.twist)
        return total_energy(patches.sum(dim=(2, 3), dtype=torch.float64)[0])

    def block_image(
        self, positions: Tensor, channel: Tensor, weight: Tensor | None, grid: Grid, shape: tuple[int, int]
    ) -> Tensor:
        """Image (1, C, h + 2c, w + 2c) of a block of `shape` (h, w) pixels with its context, for `network.patches`.

        positions (N, 2) Angstrom, relative to the block's first pixel.
        """
        c, n_channels = self.context_px, self.potential.config.image_channels
        offset = positions.new_tensor([c * grid.pitch_A[1], c * grid.pitch_A[0]])
        padded = (shape[0] + 2 * c, shape[1] + 2 * c)
        image = scatter_open(
            positions + offset, channel, weight, padded, grid.pitch_A, self.sigma_A, n_channels, self.image_dtype,
            grid.cosine,
        )  # fmt: skip
        return image.permute(2, 0, 1)[None]

    def halo_A(self, grid: Grid) -> tuple[float, float]:
        """How far (along y, along x; Angstrom) outside a block atoms still matter to it."""
        return tuple(
            (self.context_px + window_half(self.sigma_A, pitch, self.image_dtype, grid.cosine) + 1) * pitch
            for pitch in grid.pitch_A
        )


class torch_threads:
    """Run with this many threads inside torch's own operations, and put the number back."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        if self.before != self.threads:
            torch.set_num_threads(self.threads)

    def __exit__(self, *_) -> None:
        if self.before != self.threads:
            torch.set_num_threads(self.before)


def _element_tables(potential: Potential) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """By atomic number: image channel (-1: none), weight (None: all 1) and reference energy (eV, NaN:
    unknown).
    """
    config = potential.config
    channel = np.full(256, -1, np.int64)
    weight = None
    if config.channels == "Z":
        channel[:119], weight = 0, np.arange(256, dtype=np.float64)
    else:
        for index, symbol in enumerate(config.channels):
            channel[atomic_numbers[symbol]] = index
    reference = np.full(256, np.nan)
    for symbol, value in potential.reference_energies_eV.items():
        reference[atomic_numbers[symbol]] = value
    return channel, weight, reference
