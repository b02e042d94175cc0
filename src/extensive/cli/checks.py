"""What a configuration must hold beyond its schema: what the rules refuse before any job, in one place."""

from pathlib import Path
from typing import Any

from extensive import keys
from extensive.config import trainings
from extensive.config.plan import sheet_models
from extensive.errors import InputError
from extensive.io import note
from extensive.paths import initial_weights, model_folders
from extensive.structures.datasets import read_spec


def check_files(config: dict[str, Any], folder: str | Path | None = None) -> list[str]:
    """Read the structures and labels that a configuration names, as a run would; lines on what is there.

    Files that are not found from the working directory are looked for from `folder`, the configuration's. Raises
    InputError for a file or label that a run would refuse.
    """
    from extensive.structures.labels import Outliers, keys_of, look_for_outliers
    from extensive.structures.user_files import files_of, read_labelled

    lines = []
    with_forces = any(model["training"]["forces_weight"] > 0 for model in config["models"].values())
    labels = config["labels"]
    for name, spec in config["structures"]["datasets"].items():
        if not spec["files"]:
            continue
        files = files_of(spec["files"], folder)
        named = keys_of(labels, spec.get("labels"))
        found = read_labelled(files, name, with_forces, spec.get("family"), spec.get("sampler"), named)
        look_for_outliers(found, Outliers(labels["outliers"], labels["outlier_z"]))
        lines.append(f"{name}: {len(found)} labelled structures in {len(files)} files")
    return lines


def check_config(config: dict[str, Any], folder: str | Path | None = None) -> None:
    """Raise InputError for a combination that no job could carry out; builds each network, trains none."""
    from extensive.reference.settings import DFTSettings
    from extensive.structures.user_files import files_of
    from extensive.training.cells import check_cells
    from extensive.training.ising import IsingSettings, check_lattices
    from extensive.training.splits import DEVELOPMENT, LEARNED, check_patterns

    structures, models = config["structures"], config["models"]
    for name, spec in structures["datasets"].items():
        read_spec(name, spec, structures["lattice_constants_A"])
        files_of(spec["files"], folder)
    both = sorted(set(structures["datasets"]) & set(structures["dimers"]))
    if both:
        raise InputError(f"structures.dimers: name {both[0]!r} is also in structures.datasets")
    DFTSettings.from_config(config["reference"]["dft"])
    sheets = {name: model for name, model in models.items() if model["images"] is None}
    taught = [spec for spec in structures["datasets"].values() if spec["teacher"] and spec["set"] in LEARNED]
    learned = [spec for spec in structures["datasets"].values() if spec["set"] in (DEVELOPMENT, keys.TRAIN)]
    if sheets and not taught and not learned:
        raise InputError("models: nothing to train on; a data set needs 'set: development' or 'set: train'")
    sets = {name: spec["set"] for name, spec in structures["datasets"].items()}
    variants = trainings.variants(config)
    _check_networks(models)
    try:
        _check_networks(variants)
    except InputError as error:  # nothing else needs them, and a change of a preset may leave its studies behind
        note(f"{error}; `snakemake studies` would stop there, all else would run")
    for name, model in {**models, **variants}.items():
        check_patterns(name, model["training"], sets)
    check_cells(config, sheets)
    check_cells(config, variants, tested=False)
    _check_first_weights(config, {**sheets, **variants})
    _check_teachers(config, {**sheets, **variants})
    lengths = [entry["length"] for entry in structures["ising"]]
    wanted = config["training"]["ising"]["length"]
    if lengths and wanted not in lengths:
        raise InputError(f"training.ising.length: {wanted} is not among structures.ising, which has {lengths}")
    for entry in structures["ising"]:
        trained_on = entry["samples"] if entry["length"] == wanted else None
        check_lattices(entry["length"], IsingSettings(**config["training"]["ising"]), trained_on)
    timed = config["timing"]["networks"]["structure"]
    if timed is not None and timed not in structures["datasets"]:
        raise InputError(f"timing.networks.structure: {timed!r} is not among structures.datasets")
    for key, names in (
        ("timing.networks.models", config["timing"]["networks"]["models"]),
        ("sheet.model", sheet_models(config)),
    ):
        for name in names if sheets else []:
            if name not in sheets:
                raise InputError(f"{key}: {name!r} is not among models of sheets; there are {', '.join(sheets)}")


def _check_networks(models: dict[str, Any]) -> None:
    """Build the network of each of `models` (entries by name), those that are alike once."""
    from extensive.models import ModelConfig, build_model
    from extensive.training.image_files import check_settings
    from extensive.training.recipe import check_recipe
    from extensive.training.settings import TrainingSettings

    built = set()
    for name, model in models.items():
        network = ModelConfig.from_dict(model, source=f"models.{name}")
        try:
            settings = TrainingSettings.from_dict(model["training"])
            if network not in built:
                build_model(network)
        except InputError as error:
            raise InputError(f"models.{name}: {error}") from None
        built.add(network)
        if model["images"] is None:
            check_recipe(name, model)
        else:
            check_settings(name, network, settings)


def _check_first_weights(config: dict[str, Any], trained: dict[str, Any]) -> None:
    """What the configured models go on from is there, or is `trained` (entries by name) itself."""
    for name in [name for name in trained if name in config["models"]]:
        chain = [name]
        while True:
            training = trained[chain[-1]]["training"]
            where = f"models.{chain[-1]}.training.initial_weights: {training['initial_weights']!r}"
            begun = trainings.begun_from(config, training)
            if begun is None:
                break
            if begun in chain or begun not in trained:
                raise InputError(
                    f"{where} has no training of seed {training['seed']} to go on from;"
                    " studies.ensembles trains a model with every seed"
                )
            chain.append(begun)
        first = initial_weights(training)
        if first and not (Path(first).is_file() and Path(first).with_suffix(".json").is_file()):
            raise InputError(f"{where}: no such model of the configuration, nor file (.pt) with its .json beside it")


def _check_teachers(config: dict[str, Any], trained: dict[str, Any]) -> None:
    """Networks that label data sets are there, or are `trained` (entries by name) on DFT's labels."""
    for dataset, spec in config["structures"]["datasets"].items():
        for name in spec["teacher"]["models"] if spec["teacher"] else ():
            where = f"structures.datasets.{dataset}.teacher.models: {name!r}"
            places = [Path(name)] if name.endswith(".pt") else [folder / f"{name}.pt" for folder in model_folders()]
            if name not in trained and not any(place.is_file() for place in places):
                raise InputError(f"{where} is no model of this configuration, no published one and no file")
            if name in trained and trained[name]["training"]["teacher_labels"]:
                raise InputError(f"{where} learns from a teacher's labels itself")
