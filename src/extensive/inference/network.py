"""A tile network made ready for one pitch, one number type and one device: plain convolutions and nothing
else.

The statistics of the images and the pitch features are folded into weights and biases once, so that the hot
path is convolution and SiLU in channels-last order. (oneDNN's fused convolution + SiLU was measured and
gained nothing.)
"""

import copy
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from extensive.images.oblique import twisted_index
from extensive.models.ednn import EDNN, per_atom
from extensive.models.layers import PitchConv

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


class Layer(NamedTuple):
    """A plain convolution; `pad` is how far it sees over the edge of its output, in pixels of its input."""

    weight: Tensor
    bias: Tensor
    stride: int
    dilation: int
    pad: int


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
            place = _place(weight, kind, device), bias.to(kind).to(device)
            return Layer(*place, layer.stride, layer.dilation, layer.pad)

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
        first = _place(scaled, self.wide, device), bias.to(self.wide).to(device)
        self.stem[0] = self.stem[0]._replace(weight=first[0], bias=first[1])
        area = (network.stride * network.config.pixel_size_A) ** 2 / (2.0 * math.pi * network.config.sigma_A**2)
        self.atoms_per_mean = area * (1.0 if pitch is None else math.exp(float(pitch[:2].sum()) / 10.0))

    def patches(self, image: Tensor) -> Tensor:
        """What every s x s patch adds (see `EDNN.tile_parts`), (B, K, H / s, W / s), of (B, C, H + 2c, W + 2c)."""
        return self._patches(image, _conv, whole=False)

    def whole_patches(self, image: Tensor, twist: int = 0) -> Tensor:
        """The same from whole periodic images (1, C, H, W): each layer wraps around, and nothing is computed twice.

        With a `twist` (pixels) top and bottom are joined that far off: see `images.oblique.Torus`.
        """
        return self._patches(image, _wrapped_conv, whole=True, twist=twist)

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
        output = _conv(_silu(x), self.last)
        if self.readout == "plain":
            return output
        margin = 0 if whole else self.context_px
        return per_atom(self.readout, output, image, margin, self.stride, self.atoms_per_mean)


def in_double(trunk: torch.nn.Module) -> torch.nn.Module:
    """A copy of a trunk, float64 and on the CPU, to fold pitches into without rounding."""
    return copy.deepcopy(trunk).to(device="cpu", dtype=torch.float64)


def _place(weight: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return weight.to(dtype).to(device).contiguous(memory_format=torch.channels_last)


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


def _gate(x: Tensor) -> Tensor:
    """Features and gates -> their product; see `extensive.models.layers.gate`."""
    features, gates = x.chunk(2, dim=1)
    return features * _silu(gates)


def _silu(x: Tensor) -> Tensor:
    """SiLU, overwriting where nothing is to be differentiated."""
    return F.silu(x, inplace=not torch.is_grad_enabled())
