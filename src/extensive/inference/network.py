"""A tile network made ready for one pitch, one number type and one device: plain convolutions and nothing
else.

The statistics of the images and the pitch features are folded into weights and biases once, so that the hot
path is convolution and SiLU in channels-last order. (oneDNN's fused convolution + SiLU was measured and
gained nothing.) Small images are rows of pixels instead, and each layer is one product of matrices.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from extensive.images.oblique import twisted_index
from extensive.models.ednn import EDNN, per_atom
from extensive.models.layers import PitchConv

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


# Up to so many numbers PyTorch (2.13, one thread) convolves an image by loops of its own and not by oneDNN. Beyond them
# products are no faster.
SMALL_IMAGE = 20480


class Layer(NamedTuple):
    """A plain convolution; `pad` is how far it sees over the edge of its output, in pixels of its input."""

    weight: Tensor  # (O, C, k, k)
    matrix: Tensor  # (k k C, O) | the same for rows of pixels
    bias: Tensor  # (O,)
    stride: int
    dilation: int
    pad: int

    @classmethod
    def of(cls, layer: PitchConv, weight: Tensor, bias: Tensor, dtype: torch.dtype, device: torch.device) -> Layer:
        """The layer with this folded weight and bias."""
        weight, bias = weight.to(dtype).to(device), bias.to(dtype).to(device)
        matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight)).contiguous()
        weight = weight.contiguous(memory_format=torch.channels_last)
        return cls(weight, matrix, bias, layer.stride, layer.dilation, layer.pad)


class FoldedNetwork:
    """What patches of padded images add, equal to that of an EDNN whose form is 'convolutional'."""

    def __init__(
        self,
        network: EDNN,
        pitch: Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
        trunk64: torch.nn.Module | None = None,
    ) -> None:
        """`pitch`: features (2,) of the images to come or, of sheared pixels, (3,); None without that condition.

        `trunk64`: the network's trunk `in_double`, where several pitches share it.
        """
        self.stride, self.context_px, self.dtype = network.stride, network.context_px, dtype
        self.readout = network.config.readout
        double = torch.float64
        pitch = None if pitch is None else pitch.to(double)
        trunk64 = in_double(network.tile_network) if trunk64 is None else trunk64

        # In bfloat16, which has 8 bits, only the blocks' 3x3 layers: most of the arithmetic and least of the error. The
        # stem's weights hold the images' statistics and nearly cancel: to round them alone costs a meV/atom.
        self.wide = torch.promote_types(dtype, torch.float32)

        def ready(layer: PitchConv, kind: torch.dtype) -> Layer:
            weight, bias = (tensor.detach() for tensor in layer.folded(pitch))
            return Layer.of(layer, weight, bias, kind, device)

        self.stem = [ready(layer, self.wide) for layer in trunk64.stem]
        self.blocks = [(ready(block.spatial, dtype), ready(block.mix, self.wide)) for block in trunk64.blocks]
        self.between = _gate if network.config.gated else _silu
        *head, last = trunk64.head
        self.head, self.last = [ready(layer, self.wide) for layer in head], ready(last, self.wide)
        # conv((x - mean) / std) = conv'(x): exact, because these convolutions pad nothing.
        weight, bias = (tensor.detach() for tensor in trunk64.stem[0].folded(pitch))
        mean, std = (t.to(double).cpu() for t in (network.standardize.mean, network.standardize.std))
        scaled = weight / std[:, None, None]
        bias = bias - torch.einsum("oiyx,i->o", scaled, mean)
        self.stem[0] = Layer.of(trunk64.stem[0], scaled, bias, self.wide, device)
        area = (network.stride * network.config.pixel_size_A) ** 2 / (2.0 * math.pi * network.config.sigma_A**2)
        self.atoms_per_mean = area * (1.0 if pitch is None else math.exp(float(pitch[:2].sum()) / 10.0))

    def patches(self, image: Tensor) -> Tensor:
        """What every s x s patch adds (see `EDNN.tile_parts`), (B, K, H / s, W / s), of (B, C, H + 2c, W + 2c)."""
        return self._patches(image, _conv, whole=False)

    def whole_patches(self, image: Tensor, twist: int = 0) -> Tensor:
        """The same from whole periodic images (1, C, H, W): each layer wraps around, and nothing is computed twice.

        With a `twist` (pixels) top and bottom are joined that far off: see `images.oblique.Torus`.
        """
        area = image.shape[2] * image.shape[3] // self.stem[0].stride ** 2
        if image.device.type == "cpu" and area * self.stem[0].weight.shape[0] <= SMALL_IMAGE:
            return self._small_patches(image, twist)
        return self._patches(image, _wrapped_conv, whole=True, twist=twist)

    def _small_patches(self, image: Tensor, twist: int) -> Tensor:
        shape = (image.shape[2], image.shape[3])
        x = image[0].permute(1, 2, 0).reshape(-1, image.shape[1]).to(self.wide)  # (pixels, channels)
        for index, layer in enumerate(self.stem):
            x = _product(x if index == 0 else _silu(x), layer, shape, twist)
            shape, twist = (shape[0] // layer.stride, shape[1] // layer.stride), twist // layer.stride
        for spatial, mix in self.blocks:
            branch = self.between(_product(F.silu(x).to(self.dtype), spatial, shape, twist))
            x = x + _product(branch.to(self.wide), mix, shape, twist)
        for layer in (*self.head, self.last):
            x = _product(_silu(x), layer, shape, twist)
        return self._read(x.T.reshape(1, -1, *shape), image, 0)

    def _patches(
        self, image: Tensor, conv: Callable[[Tensor, Layer, int], Tensor], whole: bool, twist: int = 0
    ) -> Tensor:
        x = conv(image.to(dtype=self.wide, memory_format=torch.channels_last), self.stem[0], twist)
        for before, layer in itertools.pairwise(self.stem):
            twist //= before.stride
            x = conv(_silu(x), layer, twist)
        twist //= self.stem[-1].stride
        for spatial, mix in self.blocks:
            branch = _conv(self.between(conv(F.silu(x).to(self.dtype), spatial, twist)).to(self.wide), mix)
            x = (x if whole else x[..., spatial.pad : -spatial.pad, spatial.pad : -spatial.pad]) + branch
        for layer in self.head:
            x = _conv(_silu(x), layer)
        return self._read(_conv(_silu(x), self.last), image, 0 if whole else self.context_px)

    def _read(self, output: Tensor, image: Tensor, margin: int) -> Tensor:
        if self.readout == "plain":
            return output
        return per_atom(self.readout, output, image, margin, self.stride, self.atoms_per_mean)


def in_double(trunk: torch.nn.Module) -> torch.nn.Module:
    """A copy of a trunk, float64 and on the CPU, to fold pitches into without rounding."""
    return copy.deepcopy(trunk).to(device="cpu", dtype=torch.float64)


def _conv(x: Tensor, layer: Layer, twist: int = 0) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, dilation=layer.dilation)


def _wrapped_conv(x: Tensor, layer: Layer, twist: int = 0) -> Tensor:
    """The convolution of a periodic image (1, C, H, W), whose pixels are rows of C numbers in memory."""
    (_, channels, height, width), pad = x.shape, layer.pad
    if pad:
        index = twisted_index((height, width), twist, pad, pad, x.device)
        rows = x.permute(0, 2, 3, 1).reshape(height * width, channels).index_select(0, index.view(-1))
        x = rows.view(1, height + 2 * pad, width + 2 * pad, channels).permute(0, 3, 1, 2)
    return _conv(x, layer)


def _product(rows: Tensor, layer: Layer, shape: tuple[int, int], twist: int) -> Tensor:
    """The same of pixels as rows (H W, C) -> (H W / stride^2, O)."""
    if layer.matrix.shape[0] != rows.shape[1]:
        kernel = layer.weight.shape[2]
        taps = _taps(shape, twist, kernel, layer.stride, layer.dilation, layer.pad)
        rows = rows.index_select(0, taps).view(-1, layer.matrix.shape[0])
    return torch.addmm(layer.bias, rows, layer.matrix)


@lru_cache(maxsize=1024)
def _taps(shape: tuple[int, int], twist: int, kernel: int, stride: int, dilation: int, pad: int) -> Tensor:
    """Which pixel each tap of each output sees, row by row: (H W / stride^2 k k,) flat indices of a torus."""
    with torch.inference_mode(False):
        around = twisted_index(shape, twist, pad, pad, torch.device("cpu"))
        span = dilation * (kernel - 1) + 1
        return around.unfold(0, span, stride).unfold(1, span, stride)[..., ::dilation, ::dilation].reshape(-1)


def _gate(x: Tensor) -> Tensor:
    """Features and gates -> their product; see `extensive.models.layers.gate`."""
    features, gates = x.chunk(2, dim=1)
    return features * _silu(gates)


def _silu(x: Tensor) -> Tensor:
    """SiLU, overwriting where nothing is to be differentiated."""
    return F.silu(x, inplace=not torch.is_grad_enabled())
