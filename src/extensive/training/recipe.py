"""What settings of a training ask of its network: refused before any job is what the training would refuse."""

from collections.abc import Mapping
from typing import Any

from extensive.errors import InputError


def check_recipe(name: str, model: Mapping[str, Any]) -> None:
    """Raise InputError for an entry of `models` whose network cannot be trained as its `training` says."""
    training = model["training"]
    form = model.get("tile_network", model.get("form"))  # as in ModelConfig.from_dict
    tiles = model["network"] == "ednn" and form == "convolutional"
    if training["edge_charge_e"] and not (tiles and model["readout"] == "charge-equilibration"):
        raise InputError(
            f"models.{name}: training.edge_charge_e is for readout charge-equilibration, not {model['readout']}"
        )
    augmentation = training["augmentation"]
    if augmentation is not None and augmentation["rotation_deg"] and not tiles:
        raise InputError(
            f"models.{name}: training.augmentation.rotation_deg needs an ednn with tile_network: convolutional;"
            " images of a fixed size or of whole tiles cannot be rotated"
        )
    if training["stress_weight"] > 0 and not tiles:
        raise InputError(
            f"models.{name}: training.stress_weight needs an ednn with tile_network: convolutional;"
            " others know no strain"
        )
