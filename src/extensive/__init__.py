"""The energy of any sheet of atoms, at DFT accuracy, at the price of an image."""

import importlib
from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # Lazily, so that `import extensive` does not import PyTorch, nor any room of the package.
    if name == "Calculator":
        return importlib.import_module("extensive.inference.calculator").Calculator
    raise AttributeError(f"module 'extensive' has no attribute {name!r}")
