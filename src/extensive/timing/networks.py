"""Seconds of one energy against system size: CNN, EDNN tiled and fused, from structure to energy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from extensive.images.raster import batch_from_atoms, image_shape
from extensive.inference import Engine, RepeatedSource, stream_energy
from extensive.inference.blocks import torch_threads
from extensive.inference.number_types import chosen
from extensive.models import Potential, load_model
from extensive.models.files import weights_digest
from extensive.structures.lattices import graphene
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import (
    CELLS_IN_MEMORY,
    DISPLACEMENT_A,
    Timing,
    cells_of_atoms,
    median_seconds,
    method_prefix,
    supercell_of_cells,
)

# A size is repeated for this long at most (seconds): the larger it is, the less a repeat varies.
REPEAT_S = 10.0


@dataclass(frozen=True)
class NetworkTimingSettings:
    """`cells`: sizes in copies of the given cell; `budget_s` bounds the time of one point, `tiled_budget_s`
    of a tiled one.
    """

    cells: Sequence[int]
    dtypes: Sequence[str]
    threads: int
    repeats: int
    budget_s: float
    tiled_budget_s: float


def timing_cell(supercell: Sequence[int], seed: int) -> Atoms:
    """The rattled graphene cell of `supercell` (nx, ny) 4-atom cells that is repeated to larger and larger
    sheets.
    """
    cells = (int(supercell[0]), int(supercell[1]))
    atoms = graphene(cells)
    rng = np.random.default_rng(seed)
    atoms.positions[:, :2] += DISPLACEMENT_A * rng.standard_normal((len(atoms), 2))
    return atoms


def weights_of(models: Sequence[str | Path]) -> dict[str, str]:
    """SHA-256 of the weights that were timed, by model: what is published of timings is of the published weights."""
    return {Path(path).stem: weights_digest(path) for path in models}


def devices_for(device: str) -> list[str]:
    """Devices to time: the CPU, and the GPU where `device` ('auto', 'cpu', 'cuda') wants one and there is
    one.
    """
    return ["cpu"] + (["cuda"] if device != "cpu" and torch.cuda.is_available() else [])


def time_networks(
    models: Sequence[str | Path], cell: Atoms, settings: NetworkTimingSettings, device: str, progress: bool = False
) -> list[Timing]:
    """Rows for every model, device and size; `cell` is the structure that is repeated (60 atoms in results).

    Methods of the first EDNN begin with `ednn`, those of others with their names; these are timed fused alone.
    """
    rows, first = [], None
    for path in models:
        for name in devices_for(device):
            potential = load_model(path, name)
            if potential.config.network == "ednn":
                first = first or path
            for row in time_network(potential, cell, settings, name, method_prefix(path, first)):
                rows.append(row)
                if progress:
                    tqdm.write(
                        f"{row.method} {row.device}: {row.n_atoms} atoms in {row.seconds:.3g} s"
                        f" ({1e6 * row.seconds / row.n_atoms:.3g} microseconds per atom)"
                    )
    return rows


def time_network(
    potential: Potential, cell: Atoms, settings: NetworkTimingSettings, device: str, of: str = "ednn"
) -> Iterator[Timing]:
    """Rows of one model on one device. A CNN has one size; an EDNN is timed tiled and, where it can be, fused.

    `of`: what the names of an EDNN's methods begin with; of another than `ednn` only the fused evaluation is timed.
    """
    config = potential.config
    suffix = "-paper" if config.form == "paper" else ""
    if config.network == "cnn":
        yield from _series(
            f"cnn{suffix}", [1], _whole(potential, cell, None), settings, settings.budget_s, device, cell
        )
        return
    if of == "ednn" or not potential.network.can_fuse:
        method = f"{of}-paper" if suffix else f"{of}-tiled"
        call = _whole(potential, cell, "tiled")
        yield from _series(method, settings.cells, call, settings, settings.tiled_budget_s, device, cell)
    if not potential.network.can_fuse:
        return
    for dtype in chosen(settings.dtypes, potential, device):
        engine = Engine(potential, dtype, device, settings.threads)
        method = f"{of}-fused" if dtype == "float32" else f"{of}-fused-{dtype}"
        yield from _series(method, settings.cells, _fused(engine, cell), settings, settings.budget_s, device, cell)


def _series(
    method: str,
    sizes: Sequence[int],
    prepare: Callable[[int], Callable[[], object]],
    settings: NetworkTimingSettings,
    budget_s: float,
    device: str,
    cell: Atoms,
) -> Iterator[Timing]:
    """Time ever larger sizes until the next one, by proportion, would take longer than `budget_s` for one
    call.
    """
    synchronise = torch.cuda.synchronize if device == "cuda" else None
    last: tuple[int, float] | None = None
    for n_cells in sorted(sizes):
        if last and last[1] * n_cells / last[0] > budget_s:
            return
        call = prepare(n_cells)
        with torch_threads(settings.threads):
            # A second warm-up would double the price of the largest sizes, which have nothing left to warm.
            warmup = 3 if n_cells <= CELLS_IN_MEMORY else 0
            seconds, done = median_seconds(call, settings.repeats, warmup, synchronise, min(budget_s, REPEAT_S))
        last = (n_cells, seconds)
        n_atoms = len(cell) * n_cells
        yield Timing(
            method, device, cells_of_atoms(n_atoms), n_atoms, seconds, done, settings.threads, hardware_label(device)
        )


def _whole(potential: Potential, cell: Atoms, mode: str | None) -> Callable[[int], Callable[[], object]]:
    """Evaluation of structures in memory, image and all, in float32."""
    multiple = potential.network.focus_px if mode == "tiled" else None
    parameter = next(potential.network.parameters())

    def prepare(n_cells: int) -> Callable[[], object]:
        atoms = cell.repeat((*supercell_of_cells(n_cells), 1))
        lengths = atoms.cell.lengths()[:2]
        # Tiles need a whole number of foci, where the fused network needs one of strides.
        shape = (
            image_shape(lengths, potential.config.pixel_size_A, multiple)
            if multiple
            else potential.image_shape(lengths)
        )

        def call() -> float:
            with torch.inference_mode():
                batch = batch_from_atoms([atoms], parameter.dtype, parameter.device)
                return float(potential(batch, shape, mode))

        return call

    return prepare


def _fused(engine: Engine, cell: Atoms) -> Callable[[int], Callable[[], object]]:
    """Evaluation by the inference engine."""

    def prepare(n_cells: int) -> Callable[[], object]:
        nx, ny = supercell_of_cells(n_cells)
        source = RepeatedSource(cell, nx, ny)
        if n_cells <= CELLS_IN_MEMORY or engine.grid_of(source).whole:
            atoms = cell.repeat((nx, ny, 1))
            return lambda: engine.energy(atoms)
        return lambda: stream_energy(engine, source)

    return prepare
