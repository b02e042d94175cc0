"""Where networks run."""

import torch

from extensive.errors import InputError


def pick_device(name: str) -> torch.device:
    """'auto' is cuda where there is one. Raises InputError for cuda without a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda asked for, but no GPU is visible to PyTorch; use auto or cpu")
    return torch.device(name)
