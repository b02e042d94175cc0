"""Trainings that a configuration asks for: its models, and their variants that studies train to learn what matters.

A study names a model and what to change in it; every variant becomes a model of its own, under a name that says so,
and is trained and evaluated by the rules that train and evaluate all others.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from extensive.config.load import complete_config, merged
from extensive.errors import InputError

LEARNING_CURVES, ABLATION, CONTEXT, COMPONENTS, SEEDS = "learning-curves", "ablation", "context", "components", "seeds"
# What stands between a model's name and the number of another seed that it is trained from.
SEED = "-seed"
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

    Raises InputError for a study of a model that is not there or is not trained on sheets, and for a change that makes
    no valid model.
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
        if entry["images"] is not None:
            raise InputError(f"studies.{study}.{variant}: trained on images; studies are of models of sheets")
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
            add(SEEDS, base, base, first + seed, f"{base}{SEED}{first + seed}", {})
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


def begun_from(config: dict[str, Any], training: dict[str, Any]) -> str | None:
    """Name of the training whose weights one goes on from; None where these are no model of the configuration.

    `training` is an entry of `models.<name>.training`. It goes on from the same seed of the model that it names.
    """
    first, seed = training["initial_weights"], training["seed"]
    if first not in config["models"]:
        return None
    return first if seed == config["models"][first]["training"]["seed"] else f"{first}{SEED}{seed}"


def variants(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Trainings that studies ask for beside the configured models: their names and entries of `models`."""
    return {member.model: entry for member, entry in members(config).items() if member.model not in config["models"]}


def compared_only(found: Iterable[Member], models: Collection[str]) -> list[str]:
    """Names of those trainings of `members` that are neither among `models` nor another seed of one of them."""
    kept = {*models, *(member.model for member in found if member.study == SEEDS)}
    return list(dict.fromkeys(member.model for member in found if member.model not in kept))


def needed_by_teachers(config: dict[str, Any], known: dict[str, dict[str, Any]]) -> set[str]:
    """Which of the trainings `known` teachers need: those that they name, and what these go on from."""
    taught = [spec["teacher"]["models"] for spec in config["structures"]["datasets"].values() if spec["teacher"]]
    needed, left = set(), {name for models in taught for name in models}
    while left:
        name = left.pop()
        if name in known and name not in needed:
            needed.add(name)
            left.add(begun_from(config, known[name]["training"]))
    return needed
