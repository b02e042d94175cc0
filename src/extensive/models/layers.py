"""Layers that the networks share: valid convolutions conditioned on the pixel pitch, and the papers' thirteen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extensive.errors import InputError
from extensive.models.equivariant import EquivariantConv, EquivariantLinear
from extensive.models.functions import silu, wrap_pad

# Along x, along y, and the shear of the pixels, which only grids that a sheet is rotated against have.
PITCH_FEATURES = 3


class PitchConv(nn.Module):
    """Convolution without padding of its own, modulated by the pitch of the image.

    ``y = conv(x) (1 + g) + b`` with g and b linear in the pitch features (B, 3). For one pitch that is one plain
    convolution, which `folded` gives to an inference engine.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        pitch: bool,
        gain: float = 1.0,
        dilation: int = 1,
        symmetry: str = "none",
        scalars: tuple[bool, bool] = (False, False),
    ):
        """`gain` scales He-style initial weights; 0 starts the layer silent. `dilation`: pixels from tap to tap.

        With a `symmetry` kernels are group-equivariant, and `scalars` says whether inputs, outputs are scalars; see
        `EquivariantConv`.
        """
        super().__init__()
        if kernel < stride or (kernel - stride) % 2:
            raise InputError(
                f"model layer: kernel {kernel} with stride {stride}; the kernel must be the stride plus an"
                " even number, so that focus and context are whole pixels"
            )
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.pad = (dilation * (kernel - 1) + 1 - stride) // 2
        if symmetry == "none":
            self.conv = nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation)
            self.film = nn.Linear(PITCH_FEATURES, 2 * outputs) if pitch else None
            free, offsets, film = self.conv.weight, self.conv.bias, self.film
        else:
            self.conv = EquivariantConv(inputs, outputs, kernel, stride, dilation, symmetry, scalars)
            free, offsets = self.conv.free, self.conv.free_bias
            self.film = EquivariantLinear(PITCH_FEATURES, 2 * len(offsets), symmetry) if pitch else None
            film = self.film.linear if pitch else None
        nn.init.normal_(free, std=gain / math.sqrt(inputs * kernel * kernel))
        nn.init.zeros_(offsets)
        if film is not None:
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)

    def forward(self, x: Tensor, pitch: Tensor | None, periodic: bool, twist: int = 0) -> Tensor:
        """(B, C, H, W), pitch features -> (B, C', H', W'); `periodic` wraps, with a `twist`: H' = H / stride."""
        y = self._wrapped(x, twist) if periodic else self.conv(x)
        if self.film is None:
            return y
        gain, shift = self.film(pitch)[..., None, None].chunk(2, dim=1)
        return torch.addcmul(shift, y, 1.0 + gain)

    def _wrapped(self, x: Tensor, twist: int) -> Tensor:
        height, d = x.shape[-2], self.dilation
        if height >= d:
            return self.conv(wrap_pad(x, self.pad, twist=twist))
        # Of an image lower than the distance from tap to tap (a rotated one is often a single row) most padded rows
        # would meet no tap: those that do are stacked, `height` of them to a tap.
        rows = tuple(tap * d + row - self.pad for tap in range(self.kernel) for row in range(height))
        padded = wrap_pad(x, self.pad, twist=twist, rows=rows)
        return F.conv2d(padded, self.conv.weight, self.conv.bias, self.stride, dilation=(height, d))

    def folded(self, pitch: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight and bias of the plain convolution that this layer is at one pitch: features (2,) or (3,)."""
        weight, bias = self.conv.weight, self.conv.bias
        if self.film is None:
            return weight, bias
        gain, shift = self.film(_with_shear(pitch)).chunk(2)
        return weight * (1.0 + gain)[:, None, None, None], bias * (1.0 + gain) + shift

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        # Weights of before there was shear: a network that is not conditioned on it.
        name = f"{prefix}film.weight"
        if name in state_dict and state_dict[name].shape[-1] < PITCH_FEATURES:
            state_dict[name] = _with_shear(state_dict[name])
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _with_shear(pitch: Tensor) -> Tensor:
    """(..., 2) -> (..., 3) with zeros, the shear of upright grids; (..., 3) as it is."""
    return F.pad(pitch, (0, PITCH_FEATURES - pitch.shape[-1]))


def gate(x: Tensor) -> Tensor:
    """Features u and gates v, (B, 2 C, H, W) together -> u silu(v), (B, C, H, W); differentiable twice.

    The gated linear units of Dauphin and others (ICML 2017), with SiLU. Channels in sets stay in sets.
    """
    features, gates = x.chunk(2, dim=1)
    return features * silu(gates)


class ResidualBlock(nn.Module):
    """x cropped + 1x1(f(3x3(silu(x)))), valid, with f = silu or, `gated`, `gate`.

    The branch starts small, so depth costs no stability.
    """

    def __init__(
        self,
        width: int,
        pitch: bool,
        gain: float,
        dilation: int = 1,
        symmetry: str = "none",
        inner: int | None = None,
        gated: bool = False,
    ):
        """`inner`: channels of the 3x3 layer, `width` where None; gated ones are halved before the 1x1 layer.

        With a `gain` of 0 the block adds nothing.
        """
        super().__init__()
        inner = inner or width
        self.dilation, self.gated = dilation, gated
        self.spatial = PitchConv(width, inner, 3, 1, pitch, math.sqrt(2.0), dilation, symmetry)
        self.mix = PitchConv(inner // 2 if gated else inner, width, 1, 1, False, gain=gain, symmetry=symmetry)

    def forward(self, x: Tensor, pitch: Tensor | None, periodic: bool, twist: int = 0) -> Tensor:
        """(B, C, H, W) -> (B, C, H - 2 d, W - 2 d) at dilation d, or the same size if `periodic`."""
        inner = self.spatial(silu(x), pitch, periodic, twist)
        branch = self.mix(gate(inner) if self.gated else silu(inner), None, False)
        d = self.dilation
        return (x if periodic else x[..., d:-d, d:-d]) + branch


class Trunk(nn.Module):
    """Image -> features at the stem's total stride: strided stem, residual blocks, 1x1 head; smooth
    throughout.

    Smooth (SiLU) because forces are gradients, and without batch normalisation, whose statistics made the
    error jump from epoch to epoch.
    """

    def __init__(
        self,
        inputs: int,
        stem: Sequence[tuple[int, int, int]],
        width: int,
        blocks: int,
        head: Sequence[int],
        outputs: int,
        pitch: bool,
        dilations: Sequence[int] | None = None,
        symmetry: str = "none",
        inner_widths: Sequence[int] | None = None,
        gated: bool = False,
    ):
        """`dilations`: of each block's 3x3 layer, None for 1 throughout; `inner_widths`: its channels, None for
        `width`; `gated`: see `ResidualBlock`. `symmetry`: see `extensive.models.equivariant`.
        """
        super().__init__()
        layers, channels = [], inputs
        if not stem:
            raise InputError("model stem: empty; give at least one layer as [width, kernel, stride]")
        widths = [*(layer[0] for layer in stem[:-1]), width]
        if stem[-1][0] != width:
            raise InputError(f"model stem: last layer has width {stem[-1][0]}; it must be the blocks' width {width}")
        for number, ((_, kernel, stride), wide) in enumerate(zip(stem, widths, strict=True)):
            gain = 1.0 if number == 0 else math.sqrt(2.0)
            scalars = number == 0, False
            layers.append(PitchConv(channels, wide, kernel, stride, pitch, gain, symmetry=symmetry, scalars=scalars))
            channels = wide
        self.stem = nn.ModuleList(layers)
        gain = math.sqrt(2.0 / max(1, blocks))
        dilations = dilations or [1] * blocks
        inner_widths = inner_widths or [width] * blocks
        self.blocks = nn.ModuleList(
            ResidualBlock(width, pitch, gain, dilation, symmetry, inner, gated)
            for dilation, inner in zip(dilations, inner_widths, strict=True)
        )
        head_layers = []
        for wide in head:
            head_layers.append(PitchConv(channels, wide, 1, 1, pitch, math.sqrt(2.0), symmetry=symmetry))
            channels = wide
        head_layers.append(
            PitchConv(channels, outputs, 1, 1, False, gain=0.1, symmetry=symmetry, scalars=(False, True))
        )
        self.head = nn.ModuleList(head_layers)

    def forward(self, x: Tensor, pitch: Tensor | None = None, periodic: bool = False, twist: int = 0) -> Tensor:
        """(B, C, H, W) -> (B, outputs, H', W'). `periodic`: each layer wraps, H' = H / stride; else valid.

        Pitch features are (B, 3) or, without shear, (B, 2).
        `twist` is the image's, in pixels: see `extensive.images.oblique`.
        """
        pitch = None if pitch is None else _with_shear(pitch)
        for number, layer in enumerate(self.stem):
            x = layer(x if number == 0 else silu(x), pitch, periodic, twist)
            twist //= layer.stride
        for block in self.blocks:
            x = block(x, pitch, periodic, twist)
        for layer in self.head:
            x = layer(silu(x), pitch, periodic)
        return x

    def context_px(self) -> int:
        """The context c that makes f + 2c exactly what the layers see of a focus of f pixels."""
        field, stride = self.receptive_field()
        return (field - stride) // 2

    def receptive_field(self) -> tuple[int, int]:
        """(field, stride) in pixels: what one output sees, and how far apart outputs are; from the layers."""
        blocks = [(1 + 2 * block.dilation, 1) for block in self.blocks]
        return receptive_field([(layer.kernel, layer.stride) for layer in self.stem] + blocks)


def receptive_field(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """(field, stride) of a chain of valid convolutions given as (kernel, stride)."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field, jump


# (width, kernel, stride) of the papers' thirteen convolutions; then dense layers of 1024 and 1.
PAPER_LAYERS = (
    *[(64, 3, 2)] * 2,
    *[(16, 4, 1)] * 6,
    *[(64, 3, 2)],
    *[(32, 3, 1)] * 4,
)
PAPER_DENSE = 1024


class PaperNetwork(nn.Module):
    """The papers' network: 13 zero-padded convolutions ('same') and two dense layers, ReLU.

    Ryczko et al., Comput. Mater. Sci. 149, 134 (2018), as in the authors' code.
    """

    def __init__(self, inputs: int, side_px: int, outputs: int = 1):
        super().__init__()
        convolutions, channels, side = [], inputs, side_px
        for width, kernel, stride in PAPER_LAYERS:
            convolutions.append(nn.Conv2d(channels, width, kernel, stride))
            channels, side = width, -(-side // stride)
        self.convolutions = nn.ModuleList(convolutions)
        self.dense = nn.Linear(channels * side * side, PAPER_DENSE)
        self.output = nn.Linear(PAPER_DENSE, outputs)
        for layer in (*convolutions, self.dense):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.output.weight, std=0.1 / math.sqrt(PAPER_DENSE))
        nn.init.zeros_(self.output.bias)
        # On processors a step takes 0.7 of its time where a pixel's channels lie side by side.
        self.convolutions.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> (B, outputs)."""
        for conv in self.convolutions:
            x = F.relu(conv(same_pad(x, conv.kernel_size[0], conv.stride[0])))
        return self.output(F.relu(self.dense(x.flatten(1))))


def same_pad(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zero padding for ceil(n / stride) outputs, the odd pixel on the far side (TensorFlow's 'same')."""
    pads = []
    for n in (x.shape[-1], x.shape[-2]):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Standardize(nn.Module):
    """(x - mean) / std per channel, with statistics of the training images kept beside the weights."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def fit(self, images: Tensor) -> None:
        """Take the statistics of `images` (B, C, ...)."""
        dims = [0, *range(2, images.ndim)]
        self.mean.copy_(images.mean(dims))
        self.std.copy_(images.std(dims).clamp_min(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> the same shape."""
        shape = (-1, *[1] * (x.ndim - 2))
        return (x - self.mean.view(shape)) / self.std.view(shape)


def with_pitch(x: Tensor, pitch: Tensor) -> Tensor:
    """Append the pitch features (B, 2) to images (B, C, H, W) as two constant channels."""
    return torch.cat([x, pitch[:, :, None, None].expand(-1, -1, *x.shape[-2:])], dim=1)
