"""A network trained on images with energies in HDF5, of any origin: no atoms, no forces, only pixels.

The file holds `images` (B, C, H, W) or (B, H, W), `energies` (B,), the attribute `energy_unit` ('eV') and, if
there are, `n_atoms` (B,) and `ids` (B,). Files of the raster stage are such files. Images are taken as
periodic by an ednn; a cnn takes one square size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path, digest, file_digest, note
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.models.devices import pick_device
from extensive.training.augment import Sheet
from extensive.training.checkpoint import stamp
from extensive.training.data import ShapeRule
from extensive.training.fit import choose
from extensive.training.loop import train
from extensive.training.settings import TrainingSettings
from extensive.training.splits import DEVELOPMENT, assign_sets

# The element of what is known by its image only; ASE's symbol of nothing in particular.
ITEM = "X"
DATASET = "images"
BATCH = 32
# Images whose last side is no longer than this, and whose first is, have their channels last.
MOST_CHANNELS = 4
# Keys of `training` that say nothing about images.
OF_SHEETS = (
    *("initial_weights", "only", "exclude", "oversample", "teacher_labels", "target", "stress_weight", "edge_charge_e"),
)


@dataclass(frozen=True)
class LabelledImages:
    """What a file holds; images (B, C, H, W) float32, energies (B,) eV, n_atoms (B,), ids (B,)."""

    images: np.ndarray
    energies: np.ndarray
    n_atoms: np.ndarray
    ids: list[str]


def read_labelled_images(path: str | Path) -> LabelledImages:
    """Read and check a file; InputError names it and what is missing, not finite, or of another shape or unit."""
    try:
        with h5py.File(path, "r") as file:
            for name in ("images", "energies"):
                if name not in file:
                    raise InputError(f"{path}: no data set '{name}'; images (B, C, H, W) and energies (B,) are needed")
            images, energies = np.asarray(file["images"][()], np.float32), np.asarray(file["energies"][()], float)
            n_atoms = np.asarray(file["n_atoms"][()], float) if "n_atoms" in file else np.ones(energies.shape)
            unit = file.attrs.get("energy_unit")
    except OSError as error:
        raise InputError(f"{path}: not readable as HDF5 ({' '.join(str(error).split())[:120]})") from error
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: images, energies and n_atoms must be data sets of numbers ({reason})") from error
    if isinstance(unit, np.ndarray) and unit.size == 1:
        unit = unit.item()
    if isinstance(unit, bytes):
        unit = unit.decode(errors="replace")
    if not isinstance(unit, str) or unit != "eV":
        raise InputError(f"{path}: attribute energy_unit is {unit!r}; state it, and it must be 'eV'")
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[3] <= MOST_CHANNELS < images.shape[1]:
        note(f"{path}: images {images.shape} are taken as (B, H, W, C), channels last; (B, C, H, W) is the usual order")
        images = np.moveaxis(images, 3, 1)
    if images.ndim != 4 or energies.shape != (len(images),) or n_atoms.shape != (len(images),) or not len(images):
        raise InputError(
            f"{path}: images {images.shape}, energies {energies.shape}, n_atoms {n_atoms.shape}; expected"
            " (B, C, H, W) or (B, H, W), (B,) and (B,), with B at least 1"
        )
    for name, values in (("images", images), ("energies", energies)):
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name} hold NaN or infinity; all must be finite")
    wrong = n_atoms[~(np.isfinite(n_atoms) & (n_atoms >= 1) & (np.floor(n_atoms) == n_atoms))]
    if len(wrong):
        raise InputError(f"{path}: n_atoms holds {wrong[0]:g}; each is a whole number, at least 1")
    return LabelledImages(images, energies, n_atoms.astype(int), [f"{DATASET}-{i:05d}" for i in range(len(images))])


def train_on_images(
    name: str,
    model: Mapping[str, Any],
    file: str | Path,
    splits: Mapping[str, int],
    seed: int,
    path: str | Path,
    curve: str | Path,
    device: str = "auto",
    checkpoints: str | Path | None = None,
) -> pd.DataFrame:
    """Train the network `model` (an entry of `models`) on a file, write it, and predict the images held back.

    Writes `<path>.pt`, `<path>.json` and the CSV `curve`; `splits` are the keys of training.splits. Returns a
    table of `keys.PREDICTION_COLUMNS` of the test set. Raises InputError for a file or settings that do not fit.
    """
    data = read_labelled_images(file)
    config = ModelConfig.from_dict(dict(model), source=f"models.{name}")
    settings = TrainingSettings.from_dict(model["training"])
    check_settings(name, config, settings)
    _check_fit(name, config, data)
    structures = [Atoms(info={keys.STRUCTURE_ID: i, keys.DATASET: DATASET, keys.SAMPLER: "rattle"}) for i in data.ids]
    sets = assign_sets(structures, {DATASET: DEVELOPMENT}, seed, **splits)
    index = {identity: i for i, identity in enumerate(data.ids)}
    parts = {part: [index[identity] for identity in sets[part]] for part in (keys.TRAIN, keys.VALIDATION, keys.TEST)}
    learned = parts[keys.TRAIN] = choose(parts[keys.TRAIN], settings.labels, settings.seed)
    if not learned:
        raise InputError(f"{file}: {len(data.ids)} images leave none to train on")
    each = float(np.mean(data.energies[learned] / data.n_atoms[learned]))
    torch.manual_seed(settings.seed)
    potential = Potential(build_model(config), {ITEM: each})
    shape_of = ShapeRule(
        config.pixel_size_A, potential.network.multiple_px, config.image_px if config.network == "cnn" else None
    )
    sheets = {part: [_sheet(data, i, each, config.pixel_size_A) for i in members] for part, members in parts.items()}
    where = pick_device(device)
    mark = stamp(
        {"model": config.to_dict(), "training": settings.to_dict(), "device": where.type},
        {"file": file_digest(file), "splits": digest(sets)},
    )
    result = train(
        potential,
        sheets[keys.TRAIN],
        sheets[keys.VALIDATION],
        settings,
        shape_of,
        where,
        Path(checkpoints) if checkpoints else None,
        mark,
        progress=name,
    )
    trained = result.potential.cpu()
    with atomic_path(curve) as temporary:
        pd.DataFrame(result.curve).to_csv(temporary, index=False)
    final = {key: None if value != value else value for key, value in result.curve[-1].items()}
    metadata = {"name": name, "training": settings.to_dict(), "n_train": len(learned), "images": str(Path(file).name)}
    save_model(path, trained, {**metadata, "final": final, "torch": torch.__version__})
    tested = parts[keys.TEST]
    predicted = predict_images(trained, data.images[tested], data.n_atoms[tested])
    columns = ([data.ids[i] for i in tested], [DATASET] * len(tested), ["rattle"] * len(tested))
    numbers = (data.n_atoms[tested], data.energies[tested], predicted)
    return pd.DataFrame(dict(zip(keys.PREDICTION_COLUMNS, (*columns, *numbers), strict=True)))


def predict_images(potential: Potential, images: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
    """Energies (B,), eV, of images (B, C, H, W) of n_atoms (B,)."""
    each = potential.reference_energies_eV[ITEM]
    parts = [np.zeros(0)]
    with torch.inference_mode():
        for first in range(0, len(images), BATCH):
            parts.append(potential.network(torch.from_numpy(images[first : first + BATCH])).double().numpy())
    return each * n_atoms + potential.energy_shift_eV + potential.energy_scale_eV * np.concatenate(parts)


def _sheet(data: LabelledImages, i: int, each: float, pixel_size_A: float) -> Sheet:
    """An image as the training loop takes it; atoms without positions stand for their number only."""
    n, (height, width) = int(data.n_atoms[i]), data.images.shape[2:]
    cell = np.array([width, height]) * pixel_size_A
    return Sheet(np.zeros((n, 2)), np.zeros(n, int), cell, float(data.energies[i]) - each * n, image=data.images[i])


def check_settings(name: str, config: ModelConfig, settings: TrainingSettings) -> None:
    """Raise InputError, naming the key, for a network or a training that no images have what it needs of."""
    if settings.forces_weight > 0:
        raise InputError(
            f"models.{name}.training.forces_weight: {settings.forces_weight}; images have no forces, set 0"
        )
    if settings.augmentation is not None:
        raise InputError(f"models.{name}.training.augmentation: must be null; what moves atoms cannot move pixels")
    default = TrainingSettings()
    for key in OF_SHEETS:
        value = getattr(settings, key)
        if value != getattr(default, key):
            value = list(value) if isinstance(value, tuple) else value
            raise InputError(f"models.{name}.training.{key}: {value}; of models of sheets only, leave it out")
    if config.pitch_channels:
        raise InputError(f"models.{name}.pitch_channels: true; files of images have no pitch to tell, set false")


def _check_fit(name: str, config: ModelConfig, data: LabelledImages) -> None:
    """Raise InputError, naming the key, where network and images do not belong together."""
    channels, height, width = data.images.shape[1:]
    if config.image_channels != channels:
        raise InputError(
            f"models.{name}.channels: {config.channels} makes {config.image_channels}; the images have {channels}"
        )
    if config.network == "cnn" and (height, width) != (config.image_px, config.image_px):
        raise InputError(f"models.{name}.image_px: {config.image_px}; the images are {height} x {width} pixels")
    if config.network == "ednn":
        multiple = build_model(config).multiple_px
        if height % multiple or width % multiple:
            raise InputError(
                f"models.{name}: the images are {height} x {width} pixels; this ednn needs multiples of {multiple}"
            )
