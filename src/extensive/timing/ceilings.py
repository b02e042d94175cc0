"""Where the time of a large sheet goes, beside what the machine can do at most."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from extensive.inference import Engine, Source
from extensive.inference.blocks import torch_threads
from extensive.inference.number_types import chosen
from extensive.inference.stream import block_arguments, strip_atoms
from extensive.models import load_model
from extensive.structures.sheet import PorousSheet
from extensive.timing.networks import NetworkTimingSettings, devices_for

REPEATS = 5
# A strip of some ten thousand atoms: wide enough for whole blocks, quick to make.
SHEET_BLOCKS = (24, 24)


def _best(call: Callable[[], object], synchronise: Callable[[], None]) -> float:
    """Seconds of the fastest of a few calls: a ceiling is what nothing disturbed."""
    call()
    seconds = []
    for _ in range(REPEATS):
        synchronise()
        start = time.perf_counter()
        call()
        synchronise()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _synchronise(device: str) -> Callable[[], None]:
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def ceilings(threads: int, device: str = "cpu") -> dict[str, float]:
    """GFLOP/s of square matrix products in float32 and bfloat16, and GB/s of copying (read and written bytes)."""
    wait = _synchronise(device)
    n, found = (1536 if device == "cpu" else 8192), {}
    with torch.inference_mode(), torch_threads(threads):
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            a = torch.rand(n, n, device=device).to(dtype)
            found[f"{name}_GFLOP_per_s"] = round(2e-9 * n**3 / _best(lambda a=a: a @ a, wait), 1)
        source = torch.rand(1 << 26, device=device)
        target = torch.empty_like(source)
        found["copy_GB_per_s"] = round(8e-9 * source.numel() / _best(lambda: target.copy_(source), wait), 1)
    return found


def flop_per_atom(engine: Engine, source: Source, n_atoms: int) -> float:
    """Arithmetic of the convolutions (2 per multiply-add) for each atom of a sheet, without contexts of blocks."""
    grid = engine.grid_of(source)
    side, total = 1, 0.0
    patches = grid.shape[0] * grid.shape[1]
    layers = [*grid.network.stem, *(layer for block in grid.network.blocks for layer in block)]
    for layer in [*layers, *grid.network.head, grid.network.last]:
        side *= layer.stride
        total += 2.0 * layer.weight.numel() * patches / side**2
    return total / n_atoms


def breakdown(engine: Engine, source: Source) -> dict[str, Any]:
    """Microseconds per atom on one core (or the GPU) of each part of a streamed evaluation, from one inner block."""
    grid, wait = engine.grid_of(source), _synchronise(engine.device.type)
    strip, (_, columns) = engine.strips(grid)[0], engine.columns(grid)[0]
    halo_y = engine.halo_A(grid)[0]
    low, high = strip.first * grid.pitch_A[0] - halo_y, strip.last * grid.pitch_A[0] + halo_y
    threads = 1 if engine.device.type == "cpu" else engine.threads
    with torch.inference_mode(), torch_threads(threads):
        made = _best(lambda: source.atoms_between(low, high), wait)
        atoms = strip_atoms(engine, source, grid, strip)
        in_strip = int(atoms.counts.sum())
        sorted_s = _best(lambda: strip_atoms(engine, source, grid, strip), wait) - made
        shape = (strip.last - strip.first, columns)
        arguments = block_arguments(engine, grid, atoms, shape, 0)
        image = engine.block_image(*arguments, grid, shape)
        raster = _best(lambda: engine.block_image(*arguments, grid, shape), wait)
        network = _best(lambda: grid.network.patches(image), wait)
    in_block = in_strip * columns / grid.shape[1]
    flop = flop_per_atom(engine, source, in_strip * grid.shape[0] / (strip.last - strip.first))
    return {
        "dtype": engine.dtype_name,
        "device": engine.device.type,
        "threads": threads,
        "block_px": engine.block_px,
        "atoms_in_block": round(in_block),
        "microseconds_per_atom": {
            "atoms": round(1e6 * made / in_strip, 4),
            "sorting": round(1e6 * max(sorted_s, 0.0) / in_strip, 4),
            "raster": round(1e6 * raster / in_block, 4),
            "network": round(1e6 * network / in_block, 4),
        },
        "network_kFLOP_per_atom": round(flop / 1e3, 1),
        "network_GFLOP_per_s": round(1e-9 * flop * in_block / network, 1),
    }


def measure_breakdown(models: Sequence[str | Path], settings: NetworkTimingSettings, device: str) -> dict[str, Any]:
    """Ceilings of every device, and the breakdown of every streamed model in every number type on it."""
    result: dict[str, Any] = {"ceilings": {}, "breakdown": {}}
    source = PorousSheet(SHEET_BLOCKS, displacement_A=0.05)
    for name in devices_for(device):
        result["ceilings"][name] = {f"{cores} cores": ceilings(cores, name) for cores in {1, settings.threads}}
        for path in models:
            potential = load_model(path, name)
            # The sheet of the breakdown is carbon; models of other elements are timed without it.
            if getattr(potential.network, "can_fuse", False) and "C" in potential.elements:
                parts = [
                    breakdown(Engine(potential, dtype, name, settings.threads), source)
                    for dtype in chosen(settings.dtypes, potential, name)
                ]
                result["breakdown"].setdefault(Path(path).stem, []).extend(parts)
    return result
