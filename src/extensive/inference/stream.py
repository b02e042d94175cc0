"""Sheets of any size, strip by strip: bounded memory, progress, and partial sums that survive a kill.

A strip of pixel rows is cut into blocks along x. Worker threads, one a core, take blocks; torch releases
Python's lock inside its operations, so threads over blocks use the cores better than threads inside
operations on small images. The atoms of the next strip are made while the blocks of this one run.
"""

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from extensive.inference.blocks import BlockEngine, Grid, torch_threads
from extensive.inference.sources import Source
from extensive.inference.strips import Checkpoint, Strip
from extensive.io import digest
from extensive.memory import peak_resident_GiB
from extensive.models.equilibration import total_energy

# Width (pixels) of the bins that atoms of a strip are sorted into; a block takes whole bins.
BIN_PX = 16


@dataclass(frozen=True)
class SheetEnergy:
    """What a streamed evaluation found: of a whole sheet, or of the strips of one rank.

    `sums_eV` are the K sums over tiles: the energy, and with charge equilibration the charge and the softness, all in
    units of the energy scale times eV. Those of parts of a sheet add up; their energies do so only with K = 1.
    """

    sums_eV: tuple[float, ...]
    n_atoms: int
    seconds: float  # wall clock, resumed parts included
    peak_memory_GiB: float
    strips: int
    resumed_strips: int

    @property
    def energy_eV(self) -> float:
        """Energy of all that was summed, alone."""
        return energy_of_sums(self.sums_eV)


@dataclass
class StripAtoms:
    """Atoms of a strip and its halo, sorted into bins along x."""

    positions: np.ndarray  # (N, 2) float64, y relative to the strip's first row
    channel: Tensor
    weight: Tensor | None
    edges: np.ndarray  # atoms of bin i are edges[i]:edges[i + 1]; bin 0 starts at -margin_A
    margin_A: float
    counts: np.ndarray  # atoms of each atomic number inside the strip proper


def stream_energy(
    engine: BlockEngine,
    source: Source,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    n_ranks: int = 1,
    rank: int = 0,
    on_strip: Callable[[Strip, list[float]], None] | None = None,
) -> SheetEnergy:
    """Energy of a source's whole sheet (or of one rank's strips of it), equal to the direct evaluation.

    `checkpoint` is a file for partial sums: a killed evaluation goes on after its last strip. The caller
    removes it once the result is written. `on_strip` is called with each finished strip and its sums in eV.
    """
    started = time.perf_counter()
    grid = engine.grid_of(source)
    todo = engine.strips(grid, n_ranks, rank)
    places = [(strip.first, strip.last) for strip in todo]
    key = digest([engine.fingerprint, source.fingerprint, grid.shape, places, n_ranks, rank])
    done = Checkpoint.open(checkpoint, key)
    before, resumed = done.seconds, len(done.sums_eV)
    left = [strip for strip in todo if strip.index not in done.sums_eV]
    bar = tqdm(
        total=(todo[-1].last - todo[0].first) * grid.shape[1] if todo else 0,
        initial=sum((strip.last - strip.first) * grid.shape[1] for strip in todo if strip.index in done.sums_eV),
        unit="px", unit_scale=True, desc="sheet", disable=not progress, file=sys.stderr, mininterval=1.0,
    )  # fmt: skip
    workers = engine.threads if engine.device.type == "cpu" else 1
    with bar, torch_threads(1 if workers > 1 else engine.threads), _pool(workers) as pool:
        for strip, atoms, sums in _strip_sums(engine, source, grid, left, pool):
            done.seconds = before + time.perf_counter() - started
            done.peak_memory_GiB = max(done.peak_memory_GiB, peak_memory_GiB(engine.device))
            done.add(strip, sums, int(atoms.counts.sum()))
            bar.update((strip.last - strip.first) * grid.shape[1])
            if on_strip is not None:
                on_strip(strip, sums)
    return SheetEnergy(
        sums_eV=added(done.sums_eV[strip.index] for strip in todo),
        n_atoms=sum(done.atoms[strip.index] for strip in todo),
        seconds=before + time.perf_counter() - started,
        peak_memory_GiB=max(done.peak_memory_GiB, peak_memory_GiB(engine.device)),
        strips=len(todo),
        resumed_strips=resumed,
    )


def added(parts: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """The K sums of several parts of a sheet together."""
    return tuple(map(sum, zip(*parts, strict=True)))


def energy_of_sums(sums_eV: Sequence[float]) -> float:
    """Energy (eV) from the K sums over a sheet: see `extensive.models.equilibration`."""
    return float(total_energy(torch.tensor(sums_eV, dtype=torch.float64)))


@contextlib.contextmanager
def _pool(workers: int):
    # torch keeps the number of threads inside its operations for each thread of ours.
    inside = 1 if workers > 1 else torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(inside,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def strip_atoms(engine: BlockEngine, source: Source, grid: Grid, strip: Strip) -> StripAtoms:
    """The atoms that a strip's energy depends on, sorted along x, with periodic images on either side."""
    pitch_x, (halo_y, halo_x) = grid.pitch_A[1], engine.halo_A(grid)
    low, high = _row_A(grid, strip.first), _row_A(grid, strip.last)
    positions, numbers = source.atoms_between(low - halo_y, high + halo_y)
    inside = (positions[:, 1] >= low) & (positions[:, 1] < high)
    counts = np.bincount(numbers[inside], minlength=256)
    engine.reference_of_counts_eV(counts)  # an unknown element is named before any work is spent on it
    width_A = grid.cell[0]
    x = positions[:, 0]
    parts, shifts = [np.arange(len(x))], [np.zeros(len(x))]
    for image in range(1, int(np.ceil(halo_x / width_A)) + 1):
        right = np.flatnonzero(x - image * width_A >= -halo_x)
        left = np.flatnonzero(x + image * width_A < width_A + halo_x)
        parts += [right, left]
        shifts += [np.full(len(right), -image * width_A), np.full(len(left), image * width_A)]
    index, shift = np.concatenate(parts), np.concatenate(shifts)
    x = x[index] + shift
    bin_A = BIN_PX * pitch_x
    # 16-bit keys are sorted by radix.
    n_bins = int((width_A + 2 * halo_x) / bin_A) + 1
    bins = np.clip((x + halo_x) / bin_A, 0, n_bins - 1).astype(np.uint16 if n_bins < 2**16 else np.uint32)
    order = np.argsort(bins, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(bins, minlength=n_bins))])
    chosen = index[order]
    ordered = np.stack([x[order], positions[chosen, 1] - low], axis=1)
    channel, weight = engine.channels_of(numbers[chosen])
    return StripAtoms(ordered, channel, weight, edges, halo_x, counts)


def _row_A(grid: Grid, row: int) -> float:
    """Y (Angstrom) of a pixel row; the last edge is the cell's, so that no atom falls between strips."""
    return grid.cell[1] if row == grid.shape[0] else row * grid.pitch_A[0]


def _strip_sums(
    engine: BlockEngine, source: Source, grid: Grid, left: Sequence[Strip], pool: ThreadPoolExecutor
) -> Iterator[tuple[Strip, StripAtoms, list[float]]]:
    """Strips, their atoms and K sums (eV), one after the other. Two are in the pool at a time, so that no worker waits
    for the last block of a strip. Blocks are added in order: a sum is the same every time.
    """
    begun: collections.deque[tuple[Strip, StripAtoms, list[Future]]] = collections.deque()
    prepare = partial(pool.submit, strip_atoms, engine, source, grid)
    prepared = prepare(left[0]) if left else None
    for strip, following in zip_longest(left, left[1:]):
        atoms = prepared.result()
        # Ahead of this strip's blocks in the pool's queue.
        prepared = prepare(following) if following else None
        height = strip.last - strip.first
        jobs = [
            pool.submit(_block_sums, engine, grid, atoms, (height, last - first), first)
            for first, last in engine.columns(grid)
        ]
        begun.append((strip, atoms, jobs))
        if len(begun) > 1:
            yield _finished(engine, *begun.popleft())
    while begun:
        yield _finished(engine, *begun.popleft())


def _finished(
    engine: BlockEngine, strip: Strip, atoms: StripAtoms, jobs: Sequence[Future]
) -> tuple[Strip, StripAtoms, list[float]]:
    total = sum(job.result() for job in jobs)
    sums = [engine.potential.energy_scale_eV * float(part) for part in total]
    return strip, atoms, [engine.reference_of_counts_eV(atoms.counts) + sums[0], *sums[1:]]


def block_arguments(
    engine: BlockEngine, grid: Grid, atoms: StripAtoms, shape: tuple[int, int], first: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Positions relative to the first pixel, channels and weights of the atoms of the block that starts at column
    `first`.
    """
    pitch_x = grid.pitch_A[1]
    bin_A = BIN_PX * pitch_x
    # Bins start at -margin, as far before this block as atoms matter to it.
    low = int(first * pitch_x / bin_A)
    high = min(len(atoms.edges) - 2, int(((first + shape[1]) * pitch_x + 2 * atoms.margin_A) / bin_A))
    part = slice(int(atoms.edges[low]), int(atoms.edges[high + 1]))
    positions = torch.from_numpy(atoms.positions[part]) - torch.tensor([first * pitch_x, 0.0], dtype=torch.float64)
    weight = None if atoms.weight is None else atoms.weight[part]
    return positions.to(engine.device), atoms.channel[part], weight


def _block_sums(engine: BlockEngine, grid: Grid, atoms: StripAtoms, shape: tuple[int, int], first: int) -> np.ndarray:
    """The K sums (float64) over the patches of one block whose first column is `first`."""
    with torch.inference_mode():
        image = engine.block_image(*block_arguments(engine, grid, atoms, shape, first), grid, shape)
        return grid.network.patches(image).sum(dim=(0, 2, 3), dtype=torch.float64).cpu().numpy()


def peak_memory_GiB(device: torch.device | str = "cpu") -> float:
    """Largest resident memory of this process so far (GiB), plus the GPU's where one is used."""
    on_gpu = torch.cuda.max_memory_allocated() / 2**30 if torch.device(device).type == "cuda" else 0.0
    return peak_resident_GiB() + on_gpu
