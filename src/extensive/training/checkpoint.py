"""Checkpoints of a training that may be killed: stamped with all that the result depends on."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from extensive.io import atomic_path, digest, file_digest

# Rooms that the weights depend on.
CODE = ("images", "models", "structures", "training")


def stamp(settings: dict[str, Any], data: dict[str, Any]) -> str:
    """Digest of configuration, data, code (that of the rooms CODE) and torch.

    A checkpoint with another stamp belongs to another training and is not continued.
    """
    package = Path(__file__).parents[1]
    files = [path for name in CODE for path in package.glob(f"{name}/*.py")]
    code = hashlib.sha256("".join(sorted(file_digest(path) for path in files)).encode()).hexdigest()
    return digest({"settings": settings, "data": data, "code": code, "torch": torch.__version__})


def save_checkpoint(folder: Path, stamp_text: str, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain data) atomically."""
    with atomic_path(folder / "state.pt") as temporary:
        torch.save({"stamp": stamp_text, **state}, temporary)


def load_checkpoint(folder: Path, stamp_text: str, device: torch.device) -> dict[str, Any] | None:
    """The last state of this very training, or None: no checkpoint, a broken one, or another training's."""
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # a broken file of any kind only costs the time to train again
        return None
    return state if state.get("stamp") == stamp_text else None
