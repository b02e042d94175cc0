"""The extensive deep neural network: the energy is a sum over tiles, one network for all of them.

Mills et al., Chem. Sci. 10, 4129 (2019): E = sum_t g(tile_t), where a tile is a focus region of side f with a
context of width c around it, across the periodic boundary. Tiled evaluation cuts the tiles, as the paper
does; fused evaluation slides the tile network over the whole image, so that contexts are computed once. Both
are the same sum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extensive.errors import InputError
from extensive.models.config import ModelConfig
from extensive.models.equilibration import charged, energies_at, first_offsets, shared_potential, total_energy
from extensive.models.functions import wrap_pad
from extensive.models.layers import PaperNetwork, Standardize, Trunk, with_pitch
from extensive.models.tiles import cut_padded, row_chunks, tile_counts

MLP_WIDTHS = (36, 32)  # the authors' network for the Ising model
# Pixels of input that one piece of an evaluation holds: bounds memory at some hundred MB.
CHUNK_PX = 1 << 22
# The same for tiles on a CPU, whose activations should stay in its caches: larger pieces took up to twice as long.
CACHED_PX = 1 << 16


class EDNN(nn.Module):
    """Extensive network over images (B, C, H, W); energies in units of the potential's energy scale.

    `config.form` names the tile network: 'paper' (13 zero-padded convolutions and two dense layers per tile,
    as the authors), 'convolutional' (valid convolutions, which can be fused), 'mlp' (dense layers, for Ising
    lattices).
    """

    def __init__(self, config: ModelConfig):
        """Raises InputError when focus, context and layers do not fit together."""
        super().__init__()
        self.config = config
        self.focus_px = config.focus_px
        channels = config.image_channels
        self.standardize = Standardize(channels)
        self.stride = 0
        if config.form == "convolutional":
            outputs = {"density": channels, "charge-equilibration": 1 + 2 * channels}.get(config.readout, 1)
            self.tile_network = Trunk(
                channels,
                config.stem,
                config.width,
                config.blocks,
                config.head,
                outputs,
                config.pitch_channels,
                config.dilations,
                config.symmetry,
                config.inner_widths,
                config.gated,
            )
            if config.readout == "charge-equilibration":
                with torch.no_grad():
                    *_, offsets = self.tile_network.head[-1].parameters()
                    offsets.copy_(first_offsets(config.channels))
            _, self.stride = self.tile_network.receptive_field()
            self.context_px = self.tile_network.context_px()
            if config.focus_px < 1 or config.focus_px % self.stride:
                raise InputError(
                    f"model focus_px: {config.focus_px}; it must be a multiple of the stride {self.stride}"
                )
            if config.context_px not in (None, self.context_px):
                raise InputError(
                    f"model context_px: {config.context_px}; these layers see exactly {self.context_px}"
                    " (leave the key out to take that)"
                )
        else:
            if config.context_px is None or config.context_px < 0 or config.focus_px < 1:
                raise InputError(
                    f"model focus_px {config.focus_px}, context_px {config.context_px}: form {config.form!r} needs both"
                )
            self.context_px = config.context_px
            inputs = channels + 2 * config.pitch_channels
            if config.form == "paper":
                self.tile_network = PaperNetwork(inputs, self.side_px)
            else:
                self.tile_network = _mlp(inputs * self.side_px**2)

    @property
    def side_px(self) -> int:
        """Side of a tile, f + 2c."""
        return self.focus_px + 2 * self.context_px

    @property
    def multiple_px(self) -> int:
        """What an image's sides must be multiples of: the stride if the network can be fused, else f."""
        return self.stride or self.focus_px

    @property
    def can_fuse(self) -> bool:
        """Whether fused evaluation exists for this tile network."""
        return self.config.form == "convolutional"

    def forward(self, images: Tensor, pitch: Tensor | None = None, mode: str | None = None, twist: int = 0) -> Tensor:
        """Energies (B,), float64, of images (B, C, H, W); `pitch` features (B, 2) where the network is conditioned on
        them, (B, 3) of images with a `twist` (see `extensive.images.oblique`).

        `mode`: 'tiled', 'fused', or None for the faster that there is.
        """
        return total_energy(self.sums(images, pitch, mode, twist))

    def sums(self, images: Tensor, pitch: Tensor | None = None, mode: str | None = None, twist: int = 0) -> Tensor:
        """Sums over tiles (B, K), float64, of what `forward` makes energies: of energies and, with K = 3, of charges
        (electrons) and softness.
        """
        if twist:
            self._check_fused()
            return self._patches(images, pitch, periodic=True, twist=twist).double().sum(dim=(2, 3))
        mode = mode or ("fused" if self.can_fuse else "tiled")
        if mode == "fused":
            self._check_fused()
            return self._fused_patches(images, pitch).double().sum(dim=(2, 3))
        return self.tile_parts(images, pitch, mode).sum(dim=(2, 3))

    def tile_energies(self, images: Tensor, pitch: Tensor | None = None, mode: str | None = None) -> Tensor:
        """Energy of every tile, (B, Ty, Tx), float64; image sides must be multiples of the focus.

        With charge equilibration, at the potential mu = sum q / sum d that all tiles share: e + mu q - mu^2 d / 2.
        """
        parts = self.tile_parts(images, pitch, mode)
        return energies_at(parts, shared_potential(parts.sum(dim=(2, 3)))[:, None, None])

    def tile_parts(self, images: Tensor, pitch: Tensor | None = None, mode: str | None = None) -> Tensor:
        """What every tile adds, (B, K, Ty, Tx), float64: its energy, and with K = 3 its charge and softness."""
        tile_counts(tuple(images.shape[-2:]), self.focus_px)
        mode = mode or ("fused" if self.can_fuse else "tiled")
        if mode == "fused":
            self._check_fused()
            return self._sum_patches(self._fused_patches(images, pitch))
        if mode != "tiled":
            raise InputError(f"mode: {mode!r}; it must be 'tiled' or 'fused'")
        return self._tiled(wrap_pad(images, self.context_px), pitch)

    def tile_parts_from_padded(self, padded: Tensor, pitch: Tensor | None = None) -> Tensor:
        """The same of images that already carry their context, (B, C, H + 2c, W + 2c), as pieces of a sheet do.

        No wrapping here. Fused where the network can be.
        """
        tile_counts((padded.shape[-2] - 2 * self.context_px, padded.shape[-1] - 2 * self.context_px), self.focus_px)
        if self.can_fuse:
            return self._sum_patches(self._patches(padded, pitch, periodic=False))
        return self._tiled(padded, pitch)

    def _check_fused(self) -> None:
        if not self.can_fuse:
            raise InputError(
                f"mode 'fused': a tile network of form {self.config.form!r} pads or flattens each tile, so"
                " its tiles cannot share work; use mode 'tiled', or form 'convolutional'"
            )

    def _fused_patches(self, images: Tensor, pitch: Tensor | None) -> Tensor:
        """Patches (B, K, H / s, W / s) of periodic images, in strips where memory asks for it."""
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise InputError(f"image of {height} x {width} pixels: sides must be multiples of {self.stride} pixels")
        if height * width <= CHUNK_PX or torch.is_grad_enabled():
            return self._patches(images, pitch, periodic=True)
        padded = wrap_pad(images, self.context_px)
        rows = []
        for first, last in row_chunks(height // self.stride, width * self.stride * len(images), CHUNK_PX):
            strip = padded[..., first * self.stride : last * self.stride + 2 * self.context_px, :]
            rows.append(self._patches(strip, pitch, periodic=False))
        return torch.cat(rows, dim=2)

    def _patches(self, images: Tensor, pitch: Tensor | None, periodic: bool, twist: int = 0) -> Tensor:
        """What every s x s patch adds, (B, K, H', W')."""
        output = self.tile_network(self.standardize(images), pitch, periodic, twist)
        if self.config.readout == "plain":
            return output
        # The Gaussians of one atom integrate to 2 pi sigma^2.
        atoms_per_mean = (self.stride * self.config.pixel_size_A) ** 2 / (2.0 * math.pi * self.config.sigma_A**2)
        if pitch is not None:
            atoms_per_mean = atoms_per_mean * torch.exp(pitch[:, :2].sum(dim=1) / 10.0)[:, None, None, None]
        margin = 0 if periodic else self.context_px
        return per_atom(self.config.readout, output, images, margin, self.stride, atoms_per_mean)

    def _sum_patches(self, patches: Tensor) -> Tensor:
        """Patches (B, K, H', W') -> tiles (B, K, Ty, Tx), accumulated in float64."""
        n = self.focus_px // self.stride
        return patches.double().unflatten(2, (-1, n)).unflatten(4, (-1, n)).sum(dim=(3, 5))

    def _tiled(self, padded: Tensor, pitch: Tensor | None) -> Tensor:
        """Tiles (B, K, Ty, Tx) by cutting them out of padded images, a piece of the image at a time."""
        f, side, n_images = self.focus_px, self.side_px, padded.shape[0]
        n_rows, n_columns = (padded.shape[-2] - side) // f + 1, (padded.shape[-1] - side) // f + 1
        budget = CHUNK_PX if padded.is_cuda else CACHED_PX
        rows = []
        for top, bottom in row_chunks(n_rows, n_images * n_columns * side**2, budget):
            strip = padded[..., top * f : (bottom - 1) * f + side, :]
            parts = []
            for left, right in row_chunks(n_columns, n_images * (bottom - top) * side**2, budget):
                tiles = cut_padded(strip[..., left * f : (right - 1) * f + side], f, side)  # (B, T, C, side, side)
                tile_pitch = None if pitch is None else pitch.repeat_interleave(tiles.shape[1], dim=0)
                found = self._one_by_one(tiles.flatten(0, 1), tile_pitch)
                parts.append(found.unflatten(0, (n_images, bottom - top, right - left)).movedim(-1, 1))
            rows.append(torch.cat(parts, dim=3))
        return torch.cat(rows, dim=2)

    def _one_by_one(self, tiles: Tensor, pitch: Tensor | None) -> Tensor:
        """What tiles (T, C, side, side) add, (T, K), float64, each on its own."""
        if self.config.form == "convolutional":
            return self._patches(tiles, pitch, periodic=False).double().sum(dim=(2, 3))
        x = self.standardize(tiles)
        if self.config.pitch_channels:
            x = with_pitch(x, pitch)
        return self.tile_network(x).double()


def per_atom(
    readout: str, output: Tensor, images: Tensor, margin: int, stride: int, atoms_per_mean: float | Tensor
) -> Tensor:
    """What patches add, (B, K, H', W'), by a readout whose `output` (B, N, H', W') is of an atom of each channel.

    `images` (B, C, H, W) have a context of `margin` pixels around the patches of `stride` pixels; `atoms_per_mean` is
    how many atoms of a channel there are in a patch over the mean of its pixels.
    """
    focus = images[..., margin : images.shape[-2] - margin, margin : images.shape[-1] - margin]
    atoms = F.avg_pool2d(focus, stride) * atoms_per_mean
    if readout == "charge-equilibration":
        return charged(output, atoms)
    return (output * atoms).sum(dim=1, keepdim=True)


def _mlp(inputs: int) -> nn.Sequential:
    """Flatten - 36 - 32 - 1 with ReLU: the tile network of the authors' Ising example."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in MLP_WIDTHS:
        linear = nn.Linear(inputs, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1))
