"""Ising lattices: spins of the periodic square lattice and their energies."""

from typing import Any

import numpy as np

from extensive.errors import InputError
from extensive.structures.sampling import stream, van_der_corput

# One lattice in so many is at infinite temperature: the energies around zero that a random lattice has.
RANDOM_EVERY = 8
# Lattices are made in blocks of about so many spins: enough for vectorised sweeps, little memory, fixed
# random streams.
BLOCK_SPINS = 1 << 18


def ising_energy(spins: np.ndarray) -> np.ndarray:
    """Energies (n,) in units of J of lattices (n, L, L) of +-1: E = -J sum over neighbour pairs s_i s_j,
    periodic.
    """
    spins = np.asarray(spins, dtype=np.int8)
    pairs = spins * np.roll(spins, 1, axis=-1) + spins * np.roll(spins, 1, axis=-2)
    return -pairs.sum(axis=(-2, -1), dtype=np.int64).astype(np.float64)


def _neighbour_sums(other: np.ndarray, colour: int) -> np.ndarray:
    """Sums (n, L, L/2) over the four neighbours of one colour's sites, given the other colour's spins.

    Row r holds, of colour 0, the sites of columns 2k + r % 2 and, of colour 1, those of columns 2k + 1 - r %
    2.
    """
    sums = other + np.roll(other, 1, axis=1)
    sums += np.roll(other, -1, axis=1)
    left, right = (slice(colour, None, 2), slice(1 - colour, None, 2))
    # The second neighbour in the row is one place before (even rows of colour 0) or after.
    sums[:, left] += np.roll(other[:, left], 1, axis=2)
    sums[:, right] += np.roll(other[:, right], -1, axis=2)
    return sums


def metropolis(spins: np.ndarray, temperatures: np.ndarray, sweeps: int, rng: np.random.Generator) -> np.ndarray:
    """Checkerboard Metropolis: `sweeps` sweeps of lattices (n, L, L) of int8, L even, at temperatures (n,)
    in J/k.
    """
    rows = np.arange(spins.shape[1])[:, None]
    columns = 2 * np.arange(spins.shape[2] // 2)
    places = [columns + rows % 2, columns + 1 - rows % 2]
    colours = [np.ascontiguousarray(spins[:, rows, place]) for place in places]
    beta = 1.0 / temperatures
    # A flip costs 2 s h with s h in {-4, -2, 0, 2, 4}; the costly two are accepted by these odds.
    odds_2, odds_4 = (np.exp(-2.0 * beta * cost).astype(np.float32)[:, None, None] for cost in (2, 4))
    for _ in range(sweeps):
        for colour in (0, 1):
            mine = colours[colour]
            aligned = mine * _neighbour_sums(colours[1 - colour], colour)
            drawn = rng.random(mine.shape, dtype=np.float32)
            flip = (aligned <= 0) | (drawn < odds_4) | ((aligned == 2) & (drawn < odds_2))
            np.negative(mine, out=mine, where=flip)
    result = np.empty_like(spins)
    for place, values in zip(places, colours, strict=True):
        result[:, rows, place] = values
    return result


def _block(length: int, first: int, size: int, spec: dict[str, Any], rng: np.random.Generator):
    indices = np.arange(first, first + size)
    low, high = spec["temperatures"]
    temperatures = low + (high - low) * np.array([van_der_corput(int(i), 2) for i in indices])
    random = indices % RANDOM_EVERY == 1
    spins = rng.integers(0, 2, size=(size, length, length), dtype=np.int8) * 2 - 1
    # Half start ordered: large lattices keep their domains for long, so both starts are needed to cover the
    # energies.
    spins[(indices % 2 == 0) & ~random] = 1
    spins = np.where(random[:, None, None], spins, metropolis(spins, temperatures, spec["sweeps"], rng))
    return spins, np.where(random, np.inf, temperatures)


def generate_ising(spec: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Lattices of one size: spins (n, L, L) int8 of +-1, energies (n,) float64 in J, temperatures (n,) in
    J/k.

    `spec` is an entry of structures.ising (length, samples, sweeps, temperatures). Temperatures cover the
    range evenly; one lattice in eight is random (temperature inf). Raising `samples` keeps the earlier
    lattices. Raises InputError for an odd length or a temperature of zero.
    """
    length, samples = spec["length"], spec["samples"]
    low, high = spec["temperatures"]
    if length < 2 or length % 2:
        raise InputError(f"structures.ising.length: {length} should be even and at least 2 (checkerboard updates)")
    if not 0 < low <= high:
        raise InputError(f"structures.ising.temperatures: {[low, high]} should be [low, high] with 0 < low <= high")
    size = max(1, min(4096, BLOCK_SPINS // length**2))
    blocks = []
    for number in range(-(-samples // size)):
        blocks.append(_block(length, number * size, size, spec, stream(seed, f"ising-{length}", number)))
    spins = np.concatenate([block[0] for block in blocks])[:samples]
    temperatures = np.concatenate([block[1] for block in blocks])[:samples]
    return {"spins": spins, "energies": ising_energy(spins), "temperatures": temperatures}
