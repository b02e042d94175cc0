"""What a configuration must hold beyond its schema: what the rules refuse before any job, in one place."""

from pathlib import Path
from typing import Any

from extensive import keys
from extensive.config.plan import sheet_models
from extensive.errors import InputError
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
    from extensive.models import ModelConfig, build_model
    from extensive.reference.settings import DFTSettings
    from extensive.structures.user_files import files_of
    from extensive.training.cells import check_cells
    from extensive.training.settings import TrainingSettings
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
    for name, model in models.items():
        build_model(ModelConfig.from_dict(model, source=f"models.{name}"))
        TrainingSettings.from_dict(model["training"])
        check_patterns(name, model["training"], sets)
    check_cells(config, sheets)
    lengths = [entry["length"] for entry in structures["ising"]]
    wanted = config["training"]["ising"]["length"]
    if lengths and wanted not in lengths:
        raise InputError(f"training.ising.length: {wanted} is not among structures.ising, which has {lengths}")
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
