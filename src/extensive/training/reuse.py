"""Weights that are there of the same training, in place of training again."""

import shutil
from pathlib import Path
from typing import Any

from extensive.io import atomic_path, digest, read_json

# What the metadata of weights say their training was.
TRAINING_DIGEST = "digest_of_settings_and_data"


def training_digest(settings: dict[str, Any], data: dict[str, Any]) -> str:
    """Digest of what a training is asked for: network, settings, structures and labels, first weights; not the code."""
    return digest({"settings": settings, "data": data})


def is_trained(path: str | Path, wanted: str) -> bool:
    """Whether `path` (without its suffix) has the weights, description and curve of the training `wanted`."""
    if not all(Path(file).is_file() for file in _files(path)):
        return False
    return (read_json(f"{path}.json").get("metadata") or {}).get(TRAINING_DIGEST) == wanted


def copy_trained(trained: str | Path, path: str | Path, curve: str | Path) -> None:
    """Copy what `is_trained` to `path` (without its suffix) and `curve`."""
    for source, target in zip(_files(trained), (f"{path}.pt", f"{path}.json", curve), strict=True):
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def _files(path: str | Path) -> tuple[str, str, str]:
    return f"{path}.pt", f"{path}.json", f"{path}-curve.csv"
