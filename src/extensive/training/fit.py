"""One network trained on labelled sheets: from structures and splits to weights, metadata and curve."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from extensive import keys
from extensive.config import merged
from extensive.errors import InputError
from extensive.images.files import LARGEST_PITCH_DEVIATION, read_images
from extensive.io import atomic_path
from extensive.models import ModelConfig, Potential, build_model, load_model, save_model
from extensive.models.devices import pick_device
from extensive.models.domain import measure
from extensive.models.files import weights_digest
from extensive.paths import initial_weights
from extensive.training.augment import Sheet, repeat_to
from extensive.training.charges import edge_charge
from extensive.training.checkpoint import stamp
from extensive.training.data import ShapeRule, attach_images, make_sheets
from extensive.training.loop import Result, train
from extensive.training.ranks import Ranks
from extensive.training.recipe import check_recipe
from extensive.training.reference_energies import reference_energies, refit_reference_energies
from extensive.training.reuse import (
    TRAINING_DIGEST,
    copy_trained,
    is_trained,
    structures_digest,
    training_digest,
)
from extensive.training.settings import TrainingSettings
from extensive.training.splits import learns_from, times_of
from extensive.training.targets import with_target

# Sets that a training meets.
FITTED = (keys.TRAIN, keys.VALIDATION)
# How much smaller than a new network's it begins, what charges and softness know of their surroundings.
SMALL_CHANGES = 0.1


def train_model(
    name: str,
    model: Mapping[str, Any],
    structures: Sequence[Atoms],
    splits: Mapping[str, Sequence[str]],
    path: str | Path,
    curve: str | Path,
    device: str = "auto",
    image_files: Sequence[str | Path] = (),
    checkpoints: str | Path | None = None,
    known: Sequence[str | Path] = (),
) -> Potential:
    """Train the network `model` (an entry of `models` of the configuration) and write it.

    Writes `<path>.pt`, `<path>.json` and the CSV `curve`; returns the potential. A model with
    `training.augmentation: null` learns from fixed images: those of `image_files` (HDF5 of the raster stage)
    where given, else made here once. `checkpoints` is a folder from which the same training resumes. The first of
    `known` (paths without their suffix) that is of the same settings and data is taken instead. Raises InputError for
    settings or structures that do not fit each other.
    """
    config = ModelConfig.from_dict(dict(model), source=f"models.{name}")
    settings = TrainingSettings.from_dict(model["training"])
    check_recipe(name, {**config.to_dict(), "training": settings.to_dict()})
    with_stress = settings.stress_weight > 0
    by_id = {atoms.info[keys.STRUCTURE_ID]: atoms for atoms in structures}
    missing = [member for part in FITTED for member in splits[part] if member not in by_id]
    if missing:
        raise InputError(f"models.{name}: {missing[0]} is in the splits but not among the labelled structures")
    # Structures from elsewhere may be of no data set: they are learned from.
    dataset = {member: atoms.info.get(keys.DATASET, "") for member, atoms in by_id.items()}
    members = learned_from(splits[keys.TRAIN], dataset, settings)
    learned = with_target([by_id[member] for member in members], settings.target)
    validation = [m for m in splits[keys.VALIDATION] if learns_from(dataset[m], settings.exclude, settings.only)]
    held = with_target([by_id[member] for member in validation], settings.target)
    torch.manual_seed(settings.seed)
    first = initial_weights(settings.to_dict())
    if first:
        potential = _with_zero_of(_going_on(name, config, _elements_of(learned), first), learned)
    else:
        allowed = _elements_of(learned) if isinstance(config.channels, str) else config.channels
        potential = Potential(build_model(config), reference_energies(learned, allowed))
    _check_elements(name, potential.elements, splits, by_id)
    references, zigzag = potential.reference_energies_eV, potential.zigzag
    shape_of = ShapeRule(
        config.pixel_size_A,
        potential.network.multiple_px,
        config.image_px if config.network == "cnn" else None,
    )
    with_forces = settings.forces_weight > 0
    charge_of = partial(edge_charge, per_neighbour_e=settings.edge_charge_e, channels=config.channels)
    edges = charge_of if settings.edge_charge_e else None
    train_sheets = make_sheets(learned, references, with_forces, edges, potential.lay, with_stress)
    valid_sheets = make_sheets(held, references, with_forces, lay=potential.lay, with_stress=with_stress)
    if with_stress and all(sheet.strain_gradient is None for sheet in train_sheets):
        raise InputError(
            f"models.{name}: training.stress_weight is {settings.stress_weight:g}, but no training structure has"
            f" {keys.REF_STRESS}, a stress or a virial; name its key (labels.stress_key), or set stress_weight: 0"
        )
    cells = np.array([sheet.cell for sheet in train_sheets])
    if config.network == "cnn":
        _check_one_size(name, [*learned, *held], [*train_sheets, *valid_sheets])
    else:
        # Below one tile and its context an image would wrap onto itself more than once.
        least = potential.network.multiple_px * config.pixel_size_A
        train_sheets = [repeat_to(sheet, least) for sheet in train_sheets]
        valid_sheets = [repeat_to(sheet, least) for sheet in valid_sheets]
    if settings.augmentation is None:
        files = [read_images(file) for file in image_files]
        train_sheets = attach_images(train_sheets, learned, files, potential, shape_of)
        valid_sheets = attach_images(valid_sheets, held, files, potential, shape_of)
    # Not before: per-element energies and images are of each structure once.
    often = [times_of(dataset[member], settings.oversample) for member in members]
    train_sheets = [sheet for sheet, times in zip(train_sheets, often, strict=True) for _ in range(times)]
    ranks = Ranks.join()
    where = ranks.device(pick_device(device))
    contents = partial(structures_digest, with_forces=with_forces, with_stress=with_stress)
    begun = {"model": config.to_dict(), "training": settings.to_dict()}
    depends = {"train": contents(learned)} | ({"initial_weights": weights_digest(first)} if first else {})
    # Where the weights that it goes on from lie is not what they are.
    asked = merged(begun, {"training": {"initial_weights": None}})
    older = training_digest(asked, depends), len(held)
    # The curve, and what metadata say of errors, depend on these too.
    depends["validation"] = contents(held)
    wanted = training_digest(asked, depends)
    if same := next((place for place in known if is_trained(place, wanted, older)), None):
        if ranks.first:
            print(f"{name}: taken from {same}, whose training has the same settings and data")
            copy_trained(same, path, curve)
        ranks.leave()
        return load_model(same)
    mark = stamp({**begun, "device": where.type}, depends)
    result = train(
        potential,
        train_sheets,
        valid_sheets,
        settings,
        shape_of,
        where,
        Path(checkpoints) if checkpoints else None,
        mark,
        progress=name,
        ranks=ranks,
        fresh=first is None,
    )
    trained = result.potential.cpu()
    metadata = _metadata(name, settings, learned, held, cells, zigzag, result, mark, where) | {TRAINING_DIGEST: wanted}
    if first:
        metadata["initial_weights_sha256"] = weights_digest(first)
        # What the first weights know of a teacher, these know of it too.
        teachers = {*metadata.get("teachers", []), *trained.metadata.get("teachers", [])}
        metadata |= {"teachers": sorted(teachers)} if teachers else {}
    trained.metadata = metadata  # what was there is of the weights that the training began with
    if ranks.first:
        with atomic_path(curve) as temporary:
            pd.DataFrame(result.curve).to_csv(temporary, index=False)
        save_model(path, trained)
    ranks.leave()
    return trained


def learned_from(members: Sequence[str], dataset: Mapping[str, str], settings: TrainingSettings) -> list[str]:
    """Those of the training structures, each of a `dataset`, that a training with these settings learns from."""
    allowed = [member for member in members if learns_from(dataset[member], settings.exclude, settings.only)]
    return choose(allowed, settings.labels, settings.seed)


def choose(members: Sequence[str], count: int | None, seed: int) -> list[str]:
    """`count` of the training structures at random (None: all), always the same for the same seed; nested in
    count.
    """
    if count is None or count >= len(members):
        return list(members)
    order = np.random.default_rng([seed, 1]).permutation(len(members))[:count]
    return [members[i] for i in sorted(order)]


def _going_on(name: str, config: ModelConfig, elements: Sequence[str], first: str) -> Potential:
    """The potential that a training goes on from, of the same network or one of fewer blocks, knowing all elements."""
    where = f"models.{name}: training.initial_weights {first}"
    potential = load_model(first)
    if potential.config != config:
        potential = _grown(potential, config)
    if potential.config != config:
        old, new = potential.config.to_dict(), config.to_dict()
        key = next(key for key in new if old[key] != new[key])
        raise InputError(f"{where}: a network with {key} {old[key]}; this one has {new[key]}, and they must be alike")
    unknown = sorted(set(elements) - set(potential.elements))
    if unknown:
        raise InputError(f"{where}: knows {potential.elements}; the structures have {unknown[0]} as well")
    return potential


def _with_zero_of(potential: Potential, learned: Sequence[Atoms]) -> Potential:
    """The same network, its energies per element those of the labels that it goes on with."""
    for atoms in learned:
        if keys.REF_ENERGY not in atoms.info:
            return potential  # refused by name, with all else that is wrong with labels, in `make_sheets`
    references = refit_reference_energies(potential.reference_energies_eV, learned, potential.energies(learned))
    return Potential(
        potential.network, references, potential.energy_scale_eV, potential.energy_shift_eV, potential.metadata
    )


def _grown(potential: Potential, config: ModelConfig) -> Potential:
    """The same energies by the network of `config`, if it is this one with further blocks or with charge equilibration.

    The last layers of new blocks are zero, their first ones random, so that they are learned from the first step on.
    Charges begin as those of free atoms, and what adds to the energy by them is not in what it was.
    """
    old, count = potential.config, potential.config.blocks
    equilibrated = (old.readout, config.readout) == ("plain", "charge-equilibration")
    if equilibrated:
        old = dataclasses.replace(old, readout="charge-equilibration")
    if config.form != "convolutional" or config.first_blocks(count) != old.first_blocks(count):
        return potential
    network = build_model(config)
    trunk = network.tile_network if config.network == "ednn" else network.network
    weights = potential.network.state_dict()
    if equilibrated:
        outputs = potential.network.tile_network.head[-1]
        for parameter, energies in zip(trunk.head[-1].parameters(), outputs.parameters(), strict=True):
            with torch.no_grad():
                parameter[0] = energies[0]
                if parameter.ndim > 1:
                    parameter[1:] *= SMALL_CHANGES
        weights = {key: value for key, value in weights.items() if f".head.{len(trunk.head) - 1}." not in key}
    network.load_state_dict(weights, strict=False)
    for block in trunk.blocks[count:]:
        for parameter in block.mix.parameters():
            torch.nn.init.zeros_(parameter)
    return Potential(
        network.eval(),
        potential.reference_energies_eV,
        potential.energy_scale_eV,
        potential.energy_shift_eV,
        potential.metadata,
    )


def _elements_of(structures: Sequence[Atoms]) -> list[str]:
    return sorted({symbol for atoms in structures for symbol in atoms.get_chemical_symbols()})


def _check_elements(
    name: str, known: Sequence[str], splits: Mapping[str, Sequence[str]], by_id: Mapping[str, Atoms]
) -> None:
    """Refuse before the training what the network could not be asked about after it."""
    for part, members in splits.items():
        for member in members if part != keys.TRAIN else ():
            strange = sorted(set(by_id[member].get_chemical_symbols()) - set(known)) if member in by_id else []
            if strange:
                raise InputError(
                    f"models.{name}: {member} of the set '{part}' has {strange[0]}, and after this training the network"
                    f" would know {', '.join(known)} only; train on structures with {strange[0]}, or leave these out"
                )


def _check_one_size(name: str, structures: Sequence[Atoms], sheets: Sequence[Sheet]) -> None:
    cells = np.array([sheet.cell for sheet in sheets])
    deviation = np.abs(cells / cells.mean(axis=0) - 1.0).max(axis=1)
    worst = structures[int(deviation.argmax())].info[keys.STRUCTURE_ID]
    if deviation.max() > LARGEST_PITCH_DEVIATION:
        raise InputError(
            f"models.{name}: a cnn takes one image size, but the cell of {worst} is"
            f" {100 * deviation.max():.0f} % off the mean; at most {100 * LARGEST_PITCH_DEVIATION:.0f} %;"
            " training.exclude leaves its data set out"
        )


def _taught(learned: Sequence[Atoms]) -> dict[str, Any]:
    """What metadata say of labels that are a teacher's and not DFT's; nothing where there are none."""
    taught = [atoms for atoms in learned if keys.TEACHER in atoms.info]
    if not taught:
        return {}
    spread = np.mean([atoms.info[keys.TEACHER_ENERGY_STD] / len(atoms) for atoms in taught])
    return {
        "teachers": sorted({atoms.info[keys.TEACHER] for atoms in taught}),
        "n_teacher_labels": len(taught),
        "teacher_energy_std_meV_per_atom": keys.MEV_PER_EV * float(spread),
    }


def _metadata(
    name: str,
    settings: TrainingSettings,
    learned: Sequence[Atoms],
    held: Sequence[Atoms],
    cells: np.ndarray,
    zigzag: float | None,
    result: Result,
    mark: str,
    device: torch.device,
) -> dict[str, Any]:
    final = result.curve[-1]
    seen = measure(learned, zigzag)
    if settings.augmentation is not None and settings.augmentation.all_directions:
        seen["bond_direction_range"] = [-1.0, 1.0]
    return {
        "name": name,
        "digest_of_settings_data_and_code": mark,
        "training": settings.to_dict(),
        "n_train": len(learned),
        "n_validation": len(held),
        "n_atoms_range": [min(map(len, learned)), max(map(len, learned))],
        "cell_range_A": [cells.min(axis=0).tolist(), cells.max(axis=0).tolist()],
        **seen,
        **_taught(learned),
        "families": sorted({atoms.info[keys.FAMILY] for atoms in learned}),
        "final": {key: None if value != value else value for key, value in final.items()},
        "seconds": result.seconds,
        "samples_per_second": result.samples_per_second,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
