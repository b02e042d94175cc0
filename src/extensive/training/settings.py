"""How a network is trained: plain data, one field per key of `training` in a model's configuration."""

import dataclasses
from typing import Any

from extensive.errors import InputError
from extensive.training.augment import Augmentation
from extensive.training.targets import ENERGY, PARTS

SCALINGS = ("minmax", "rms")
OPTIMIZERS = ("adam", "adamw", "muon")
SCHEDULES = ("constant", "cosine")
LOSSES = ("mse", "huber")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Defaults live in the schema; these are the same, for use without it, and a test holds them to it."""

    samples: int = 20_000  # structures that pass through the network in all; epochs follow from the number of labels
    batch_size: int = 8
    seed: int = 0
    labels: int | None = None  # train on this many of the training structures only (learning curves); None for all
    only: tuple[str, ...] = ()  # data sets to learn from, names or patterns; none: all
    exclude: tuple[str, ...] = ()  # data sets not to learn from
    teacher_labels: bool = False  # learn from data sets that a teacher labelled, too
    # data sets, names or patterns, and how many times in an epoch each of their structures comes
    oversample: dict[str, int] = dataclasses.field(default_factory=dict)
    initial_weights: str | None = None  # weights to go on from; `{seed}` stands for the seed
    target: str = "energy"  # or a part of it; see extensive.training.targets
    forces_weight: float = 1.0  # weight of the forces in the loss; 0 trains on energies alone, as the papers did
    stress_weight: float = 0.0  # weight of the in-plane stress, of structures that have one
    energy_weight: float = 1.0
    final_energy_weight: float | None = None  # what it grows to by the end; None: constant
    scaling: str = "rms"  # energies scaled to [0, 1] over the training set ('minmax', papers) or by their spread
    loss: str = "mse"  # squared error (papers), or 'huber': linear beyond `huber_delta` spreads
    huber_delta: float = 0.1
    optimizer: str = "adam"  # as the papers; 'muon' learns forces several times faster
    learning_rate: float = 2e-3
    weight_decay: float = 0.0  # AdamW's only
    schedule: str = "cosine"  # 'constant' (papers), or a warm-up and a cosine down to `final_rate` of the rate
    warmup: float = 0.02  # fraction of all steps
    final_rate: float = 0.01
    ema: float = 0.99  # decay per step of the averaged weights that are validated and saved; 0 for none
    clip_norm: float = 0.0  # largest norm of a step's gradient; 0 for none
    # electrons that carbon gives for each neighbour that it lacks, an auxiliary loss with charge equilibration
    edge_charge_e: float = 0.0
    augmentation: Augmentation | None = dataclasses.field(default_factory=Augmentation)  # None: fixed images
    mixed_precision: bool = False  # TF32 in convolutions (10 bits of mantissa), on cuda only
    validations: int = 40  # how often the validation set is predicted, in all

    def __post_init__(self) -> None:
        """Raise InputError for a value that cannot be right."""
        for key, choices in (
            ("scaling", SCALINGS),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("loss", LOSSES),
        ):
            if getattr(self, key) not in choices:
                raise InputError(f"training.{key}: {getattr(self, key)!r}; it must be one of {list(choices)}")
        for key in ("samples", "batch_size", "learning_rate", "validations"):
            if getattr(self, key) <= 0:
                raise InputError(f"training.{key}: {getattr(self, key)}; it must be positive")
        for pattern, times in self.oversample.items():
            if times < 1:
                raise InputError(f"training.oversample.{pattern}: {times}; structures come at least once")
        angle = self.augmentation.rotation_deg if self.augmentation else 0.0
        if not isinstance(angle, int | float):
            if len(angle) != 2 or not 0 <= angle[0] < angle[1] <= 360:
                raise InputError(
                    f"training.augmentation.rotation_deg: {list(angle)}; two angles, the first the less, of 0 to 360"
                )
        elif angle < 0 or (angle and abs(180.0 / angle - round(180.0 / angle)) > 1e-6):
            raise InputError(f"training.augmentation.rotation_deg: {angle:g}; half a turn must be a multiple of it")
        if not 0 <= self.ema < 1:
            raise InputError(f"training.ema: {self.ema}; a decay is at least 0 and below 1")
        if self.target not in (ENERGY, *PARTS):
            raise InputError(f"training.target: {self.target!r}; it must be one of {[ENERGY, *PARTS]}")
        if self.target != ENERGY and (self.forces_weight or self.stress_weight):
            raise InputError(
                f"training.target: {self.target}; forces and stress belong to the whole energy: set forces_weight: 0"
                " and stress_weight: 0"
            )
        if self.stress_weight < 0:
            raise InputError(f"training.stress_weight: {self.stress_weight}; it must not be negative")
        if self.energy_weight < 0 or self.forces_weight < 0 or self.energy_weight + self.forces_weight == 0:
            raise InputError("training.energy_weight, forces_weight: must not be negative, nor both 0")
        if self.final_energy_weight is not None and (self.energy_weight == 0) != (self.final_energy_weight == 0):
            raise InputError(
                f"training.final_energy_weight: {self.final_energy_weight:g} beside energy_weight"
                f" {self.energy_weight:g}; one becomes the other by factors, so set both above 0"
            )
        if self.augmentation is None and self.forces_weight > 0:
            raise InputError(
                f"training.forces_weight: {self.forces_weight:g}; fixed images (augmentation: null) have no forces,"
                " set 0"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingSettings":
        """From a model's `training` mapping; InputError names an unknown key."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"training.{unknown[0]}: unknown key; known keys: {', '.join(sorted(known))}")
        values = {**values, **{key: tuple(values.get(key, ())) for key in ("only", "exclude")}}
        if isinstance(values.get("augmentation"), dict):
            values["augmentation"] = Augmentation(**values["augmentation"])
        return cls(**values)
