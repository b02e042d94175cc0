"""What a network is: the plain data that is written beside its weights and builds it again."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from extensive.errors import InputError
from extensive.images.raster import Channels, channel_count

# Of images without a period: features of all places are told apart, or averaged over places.
OF_ANY_DIMENSION = ("open", "averaged")
FORMS = {"cnn": ("paper", "convolutional", "open", "averaged"), "ednn": ("paper", "convolutional", "mlp")}

SYMMETRIES = ("none", "mirrors", "square")

READOUTS = ("plain", "density", "charge-equilibration")
# What weights of earlier versions call a readout.
FORMER_READOUTS = {"equilibrated": "charge-equilibration"}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that determines a network's function but its weights; lengths are in pixels."""

    network: str  # 'cnn' (one image, one energy) or 'ednn' (the sum over tiles)
    # cnn: 'paper', 'convolutional', 'open' (images without a period: dimers); ednn: 'paper', 'convolutional',
    # 'mlp'
    form: str
    channels: Channels = "Z"  # 'Z', or elements with one channel each
    pixel_size_A: float = 0.2  # nominal pitch, Angstrom
    sigma_A: float = 0.2  # width of the Gaussians, Angstrom
    pitch_channels: bool = False  # the network is conditioned on the true pitch along x and y
    image_px: int | None = None  # cnn: side of the one image size that it takes
    dims: int = 2  # 3 for voxel images; cnn 'open' and 'averaged' only
    outputs: int = 1  # numbers per image; more than one for a cnn only
    focus_px: int = 32  # ednn: side f of the tile's own region
    context_px: int | None = None  # ednn: width c of the region around it; None: what the layers see
    stem: tuple[tuple[int, int, int], ...] = (
        (32, 4, 2),
        (64, 4, 2),
    )  # (width, kernel, stride) of strided layers
    width: int = 64  # channels of the residual blocks
    blocks: int = 3  # residual blocks of one 3x3 layer each, at the stem's total stride
    dilations: tuple[int, ...] | None = None  # of the blocks' 3x3 layers, one each; None: 1, no holes
    inner_widths: tuple[int, ...] | None = None  # channels of the same layers, one each; None: `width`
    gated: bool = False  # half of those channels are gates of the other half, u silu(v)
    head: tuple[int, ...] = (64,)  # widths of the 1x1 layers (dense layers in a cnn) before the output
    # ednn 'convolutional': which symmetries its layers have by construction; see extensive.models.equivariant
    symmetry: str = "none"
    # ednn 'convolutional': 'plain', 'density' (energy per atom times atoms in the patch) or 'charge-equilibration'
    # (energy, charge and softness of tiles at one potential; see extensive.models.equilibration)
    readout: str = "plain"

    def __post_init__(self) -> None:
        """Raise InputError for a combination that names no network."""
        if self.network not in FORMS:
            raise InputError(f"model network: {self.network!r}; it must be one of {list(FORMS)}")
        if self.form not in FORMS[self.network]:
            raise InputError(f"model form: {self.form!r}; a {self.network} has {list(FORMS[self.network])}")
        if self.network == "cnn" and (self.image_px is None or self.image_px < 8):
            raise InputError(f"model image_px: {self.image_px}; a cnn needs its fixed image size, at least 8 pixels")
        if self.network == "ednn" and self.outputs != 1:
            raise InputError(f"model outputs: {self.outputs}; an ednn sums one number per tile")
        if self.dims not in (2, 3) or (self.dims == 3 and self.form not in OF_ANY_DIMENSION):
            raise InputError(f"model dims: {self.dims}; 2, or 3 for a cnn of form {' or '.join(OF_ANY_DIMENSION)}")
        if self.symmetry not in SYMMETRIES:
            raise InputError(f"model symmetry: {self.symmetry!r}; it must be one of {list(SYMMETRIES)}")
        if self.symmetry != "none" and (self.network, self.form) != ("ednn", "convolutional"):
            raise InputError(
                f"model symmetry: {self.symmetry!r}; only an ednn with tile_network: convolutional has one"
            )
        if self.readout not in READOUTS:
            raise InputError(f"model readout: {self.readout!r}; it must be one of {list(READOUTS)}")
        if self.readout != "plain" and (self.network, self.form) != ("ednn", "convolutional"):
            raise InputError(
                f"model readout: {self.readout!r}; only an ednn with tile_network: convolutional has a choice of it"
            )
        for key in ("dilations", "inner_widths"):
            numbers = getattr(self, key)
            if numbers is not None and (len(numbers) != self.blocks or min(numbers, default=1) < 1):
                raise InputError(
                    f"model {key}: {list(numbers)}; it must be {self.blocks} numbers of at least 1, one a block"
                )
        inner = self.inner_widths or (self.width,)
        if self.gated and any(channels % 2 for channels in inner):
            raise InputError(f"model inner_widths: {list(inner)}; gated blocks halve them, so they must be even")
        if not (0 < self.pixel_size_A < math.inf and 0 < self.sigma_A < math.inf):
            raise InputError(
                f"model pixel_size_A {self.pixel_size_A} and sigma_A {self.sigma_A} must be positive, and finite"
            )
        if self.channels != "Z" and (isinstance(self.channels, str) or not self.channels):
            raise InputError(f"model channels: {self.channels!r}; 'Z' or a list of elements such as [B, C, N]")

    @property
    def image_channels(self) -> int:
        """Channels of the image, without those of the pitch."""
        return channel_count(self.channels)

    def first_blocks(self, count: int) -> ModelConfig:
        """The same network with only the first `count` of its residual blocks, dilations and widths written out."""
        dilations = self.dilations or (1,) * self.blocks
        inner_widths = self.inner_widths or (self.width,) * self.blocks
        return dataclasses.replace(self, blocks=count, dilations=dilations[:count], inner_widths=inner_widths[:count])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "model") -> ModelConfig:
        """From JSON or from an entry of `models:`; keys that are not this class's (training's) are left
        alone.

        In the configuration the form is called `tile_network` for an ednn and `form` for a cnn; both are
        read. Raises InputError naming `source` when a value cannot be right.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        chosen = {key: value for key, value in values.items() if key in known and value is not None}
        if chosen.get("readout") in FORMER_READOUTS:
            chosen["readout"] = FORMER_READOUTS[chosen["readout"]]
        if chosen.get("network") == "ednn":
            chosen["form"] = values.get("tile_network", chosen.get("form"))
            chosen.pop("image_px", None)
        for key in ("network", "form"):
            if chosen.get(key) is None:
                raise InputError(f"{source}: key '{key}' is missing; a network has {FORMS}")
        try:
            if "stem" in chosen:
                chosen["stem"] = tuple(tuple(int(n) for n in layer) for layer in chosen["stem"])
            for key in ("head", "dilations", "inner_widths"):
                if key in chosen:
                    chosen[key] = tuple(int(n) for n in chosen[key])
            if not isinstance(chosen.get("channels", "Z"), str):
                chosen["channels"] = tuple(str(symbol) for symbol in chosen["channels"])
            return cls(**chosen)
        except (TypeError, ValueError) as error:
            raise InputError(f"{source}: {error}") from error
