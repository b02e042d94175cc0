"""Studies: variants of the configured models, trained beside them to learn what matters and how sure it is.

A study names a model and what to change in it; every variant becomes a model of its own, under a name that says so,
and is trained and evaluated by the rules that train and evaluate all others.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extensive import keys
from extensive.config import complete_config, merged
from extensive.errors import InputError

LEARNING_CURVES, ABLATION, CONTEXT, COMPONENTS, SEEDS = "learning-curves", "ablation", "context", "components", "seeds"
# Where the configuration has a study's own number of seeds and of training samples.
SETTINGS = {LEARNING_CURVES: "learning_curves", ABLATION: "ablation", CONTEXT: "context", COMPONENTS: "components"}


@dataclass(frozen=True)
class Member:
    """One training of a study."""

    study: str
    variant: str  # what was changed, as tables and figures call it
    base: str  # the model that was changed
    seed: int
    labels: int | None  # training structures; None for all
    model: str  # name of the variant among the models


def members(config: dict[str, Any]) -> dict[Member, dict[str, Any]]:
    """Every training that the studies of a complete configuration ask for, and its entry of `models`.

    Raises InputError for a study of a model that is not there, and for a change that makes no valid model.
    """
    studies, found = config["studies"], {}
    trained = {canonical(entry): name for name, entry in config["models"].items()}
    names: dict[str, str] = {}

    def add(study: str, variant: str, base: str, seed: int, name: str, changes: dict[str, Any]) -> None:
        if base not in config["models"]:
            known = ", ".join(config["models"])
            raise InputError(f"studies.{study}: {base!r} is not among models; there are {known}")
        samples = studies[SETTINGS[study]]["samples"] if study in SETTINGS else None
        common = {"seed": seed} if samples is None else {"seed": seed, "samples": samples}
        model = merged(config["models"][base], {"training": common})
        model = merged(model, changes)
        checked = complete_config({"run": config["run"], "models": {name: model}}, source=f"studies.{study}.{variant}")
        entry = checked["models"][name]
        # The same training in two studies, or a published model as one of its own ensemble, is done once.
        name = trained.setdefault(canonical(entry), name)
        if names.setdefault(name, canonical(entry)) != canonical(entry) or (
            name in config["models"] and entry != config["models"][name]
        ):
            raise InputError(f"studies: the name {name!r} stands for two models; rename one in models")
        found[Member(study, variant, base, seed, entry["training"]["labels"], name)] = entry

    def seeds(study: str) -> range:
        own = studies[SETTINGS[study]]["seeds"] if study in SETTINGS else None
        return range(studies["seeds"] if own is None else own)

    for base in studies["ensembles"]:
        # The model's own seed and those that follow: the published model is the first of its ensemble.
        first = config["models"].get(base, {"training": {"seed": 0}})["training"]["seed"]
        for seed in seeds(SEEDS):
            add(SEEDS, base, base, first + seed, f"{base}-seed{first + seed}", {})
    for variant, curve in studies["learning_curves"]["models"].items():
        for count in studies["learning_curves"]["labels"]:
            for seed in seeds(LEARNING_CURVES):
                changes = merged(curve["changes"], {"training": {"labels": count}})
                add(LEARNING_CURVES, variant, curve["model"], seed, f"{variant}-labels{count}-seed{seed}", changes)
    for study in (ABLATION, CONTEXT):
        base = studies[study]["model"]
        for variant, changes in studies[study]["variants"].items():
            for seed in seeds(study):
                add(study, variant, base, seed, f"{base}-{study}-{variant}-seed{seed}", changes)
    for target in studies["components"]["targets"]:
        base = studies["components"]["model"]
        changes = {"training": {"target": target, "forces_weight": 0, "energy_weight": 1, "final_energy_weight": None}}
        add(COMPONENTS, target, base, 0, f"{base}-{target}", changes)
    return found


def canonical(entry: dict[str, Any]) -> str:
    """An entry of `models` as text that is the same for equal entries."""
    return json.dumps(entry, sort_keys=True)


def collect(
    rows: Sequence[Member], descriptions: Sequence[str | Path], metrics: Sequence[dict[str, str]]
) -> pd.DataFrame:
    """Errors of a study's members: a row for each member and set.

    `descriptions` are the models' JSON files in the order of `rows`; `metrics`, in the same order, each one's metrics
    JSON files by set. `n_labels` is what was really trained on.
    """
    table = []
    for index, member in enumerate(rows):
        description = json.loads(Path(descriptions[index]).read_text())
        context = description.get("context_px") or 0
        for part, file in metrics[index].items():
            numbers = json.loads(Path(file).read_text())
            if not numbers["count"]:
                continue
            row = {**asdict(member), "n_labels": description["metadata"]["n_train"], "set": part}
            row["context_A"] = context * description["model"]["pixel_size_A"]
            row |= {key: numbers.get(key, np.nan) for key in ("mae_meV_per_atom", "forces_mae_meV_per_A")}
            table.append({**row, "count": numbers["count"], "seconds": description["metadata"]["seconds"]})
    return pd.DataFrame(table)


def ensemble(predictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean and standard deviation of several models' predictions of the same structures.

    Columns of `keys.PREDICTION_COLUMNS`, the prediction being the mean, and `energy_std_eV` (with Bessel's
    correction). Raises InputError where the tables are not of the same structures.
    """
    first = predictions[0]
    if len(predictions) < 2:
        raise InputError("ensemble: one model has no spread; studies.seeds must be at least 2")
    for table in predictions[1:]:
        if list(table["structure_id"]) != list(first["structure_id"]):
            raise InputError("ensemble: the models predicted different structures")
    energies = np.stack([table["energy_predicted_eV"].to_numpy() for table in predictions])
    result = first[list(keys.PREDICTION_COLUMNS)].copy()
    result["energy_predicted_eV"] = energies.mean(axis=0)
    result["energy_std_eV"] = energies.std(axis=0, ddof=1)
    return result
