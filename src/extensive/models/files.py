"""Models on disk: a state dict `<name>.pt` and its metadata `<name>.json`."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers

from extensive.errors import InputError
from extensive.io import atomic_path, file_digest, read_json, write_json
from extensive.models.config import ModelConfig
from extensive.models.potential import Potential, build_model

FORMAT = 1
UNITS = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"}


def save_model(path: str | Path, potential: Potential, metadata: dict[str, Any] | None = None) -> None:
    """Write `<path>.pt` and `<path>.json` (`path` may carry either suffix), weights first, each whole or not
    at all.

    `metadata` is added to the potential's own: lattice range, digests of data and code, training record.
    """
    weights, description = _paths(path)
    state = {key: value.detach().cpu().contiguous() for key, value in potential.network.state_dict().items()}
    # To memory first: a file that torch writes itself holds its own name, so equal weights would differ in bytes.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic_path(weights) as temporary:
        temporary.write_bytes(buffer.getvalue())
    network = potential.network
    write_json(
        description,
        {
            "format": FORMAT,
            "units": UNITS,
            "model": potential.config.to_dict(),
            "context_px": getattr(network, "context_px", None),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "elements": potential.elements,
            "reference_energies_eV": potential.reference_energies_eV,
            "energy_scale_eV": potential.energy_scale_eV,
            "energy_shift_eV": potential.energy_shift_eV,
            "weights_sha256": file_digest(weights),
            "metadata": {**potential.metadata, **(metadata or {})},
        },
    )


def load_model(path: str | Path, device: str | torch.device = "cpu") -> Potential:
    """The potential of `<path>.pt` and `<path>.json`, in float32, on `device`.

    Weights are read with weights_only=True: a file cannot run code. Raises InputError naming the file when it
    is missing, truncated, hostile, or not the one that its metadata describes. What was measured of their rounding
    comes with them where it is of these weights: see `extensive.inference.number_types`.
    """
    weights, description = _paths(path)
    values = read_json(description)
    try:
        if values["format"] != FORMAT or values["units"] != UNITS:
            raise InputError(
                f"{description}: format {values['format']}, units {values['units']}; expected {FORMAT}, {UNITS}"
            )
        config = ModelConfig.from_dict(values["model"], source=str(description))
        references = {symbol: float(value) for symbol, value in values["reference_energies_eV"].items()}
        scale, shift = float(values["energy_scale_eV"]), float(values["energy_shift_eV"])
        expected, metadata = values["weights_sha256"], dict(values["metadata"])
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{description}: not a model's metadata ({type(error).__name__}: {error})") from error
    unknown = [symbol for symbol in references if symbol not in atomic_numbers]
    if unknown or not all(map(math.isfinite, [scale, shift, *references.values()])):
        raise InputError(f"{description}: reference energies and scale must be finite numbers of known elements")
    if not weights.is_file():
        raise InputError(f"{weights}: no such file; it belongs beside {description.name}")
    if file_digest(weights) != expected:
        raise InputError(f"{weights}: not the weights that {description.name} describes (sha256 differs)")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network = build_model(config)
        network.load_state_dict(state)
    except InputError:
        raise
    except Exception as error:  # torch raises many kinds for a broken or foreign file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{weights}: not readable as this model's weights ({reason})") from error
    potential = Potential(network.to(device).eval(), references, scale, shift, metadata)
    measured = rounding_file(path)
    if measured.is_file() and (rounding := read_json(measured)).get("weights_sha256") == expected:
        potential.rounding = rounding
    return potential


def weights_digest(path: str | Path) -> str:
    """SHA-256 of a model's weights, as its metadata has it. Raises InputError for a file that is not there."""
    return str(read_json(_paths(path)[1])["weights_sha256"])


def rounding_file(path: str | Path) -> Path:
    """Where what number types round of a model is written, beside it."""
    weights, _ = _paths(path)
    return weights.with_name(f"{weights.stem}-rounding.json")


def _paths(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".pt", ".json") else path
    return stem.with_name(stem.name + ".pt"), stem.with_name(stem.name + ".json")
