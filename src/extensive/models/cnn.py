"""The convolutional network: one image of a fixed size, one energy.

Ryczko et al., Comput. Mater. Sci. 149, 134 (2018).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from extensive.errors import InputError
from extensive.models.config import ModelConfig
from extensive.models.layers import PaperNetwork, Standardize, Trunk, with_pitch


class CNN(nn.Module):
    """Images (B, C, P, P) of the fixed size P -> energies (B,), float64, in units of the potential's energy
    scale.

    Forms: 'paper' (the papers' network), 'convolutional' (circular padding, residual, features pooled over
    the periodic image), 'open' (zero padding, 2D or 3D: images of dimers, which have no period), 'averaged' (the same
    with features averaged over places, so that a dimer is the same wherever it lies, up to pixels).
    """

    def __init__(self, config: ModelConfig):
        """Raises InputError when image size and layers do not fit together."""
        super().__init__()
        self.config = config
        channels = config.image_channels
        self.standardize = Standardize(channels)
        if config.form == "paper":
            inputs = channels + 2 * config.pitch_channels
            self.network = PaperNetwork(inputs, config.image_px, config.outputs)
        elif config.form == "convolutional":
            self.network = Trunk(
                channels,
                config.stem,
                config.width,
                config.blocks,
                (),
                config.width,
                config.pitch_channels,
                config.dilations,
                inner_widths=config.inner_widths,
                gated=config.gated,
            )
            _, stride = self.network.receptive_field()
            if config.image_px % stride:
                raise InputError(
                    f"model image_px: {config.image_px}; it must be a multiple of the layers' stride {stride}"
                )
            self.dense = _dense(config.width, config.head, config.outputs)
        else:
            self.network = _open_layers(channels, config.stem, config.dims)
            side = 1 if config.form == "averaged" else config.image_px
            for _, _, stride in config.stem:
                side = -(-side // stride)
            self.dense = _dense(config.stem[-1][0] * side**config.dims, config.head, config.outputs)

    @property
    def multiple_px(self) -> int:
        """The fixed side of the image."""
        return self.config.image_px

    def forward(self, images: Tensor, pitch: Tensor | None = None, mode: str | None = None) -> Tensor:
        """Energies (B,), float64, or (B, outputs) if there are several; `mode` is for networks with tiles."""
        side = self.config.image_px
        if any(n != side for n in images.shape[2:]):
            raise InputError(f"image of {tuple(images.shape[2:])} pixels: this network takes {side} a side only")
        x = self.standardize(images)
        if self.config.form == "paper":
            y = self.network(with_pitch(x, pitch) if self.config.pitch_channels else x)
        elif self.config.form == "convolutional":
            y = self.dense(F.silu(self.network(x, pitch, periodic=True)).mean(dim=(2, 3)))
        elif self.config.form == "averaged":
            y = self.dense(self.network(x).flatten(2).mean(dim=2))
        else:
            y = self.dense(self.network(x).flatten(1))
        y = y.double()
        return y[:, 0] if self.config.outputs == 1 else y


def _dense(inputs: int, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        linear = nn.Linear(inputs, width)
        nn.init.normal_(linear.weight, std=math.sqrt(2.0 / inputs))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.SiLU()]
        inputs = width
    last = nn.Linear(inputs, outputs)
    nn.init.normal_(last.weight, std=0.1 / math.sqrt(inputs))
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def _open_layers(inputs: int, stem: tuple[tuple[int, int, int], ...], dims: int) -> nn.Sequential:
    """Zero-padded strided convolutions in 2 or 3 dimensions; outputs are ceil(n / stride) a side."""
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    layers: list[nn.Module] = []
    for width, kernel, stride in stem:
        if kernel < stride or kernel % 2 == 0:
            raise InputError(f"model stem: kernel {kernel}, stride {stride}; form 'open' needs an odd kernel >= stride")
        layer = convolution(inputs, width, kernel, stride, padding=kernel // 2)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers)
