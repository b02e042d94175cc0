"""What turns an ideal sheet into a sample: random streams, strain, displacements, rounding."""

import hashlib

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.structures.lattices import bonds, plane, sheet

MINIMUM_DISTANCE_A = 1.05
# Structures are rounded when made, so that a label's digest means the same after any file format.
DECIMALS = 6
EDGE = 1e-10
MAXIMUM_REDRAWS = 10_000


def stream(seed: int, dataset: str, index: int) -> np.random.Generator:
    """Random stream of one structure: a function of (seed, data set, index) alone.

    Raising a data set's count, or adding data sets, therefore leaves every earlier structure as it is.
    """
    name = int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:8])
    return np.random.default_rng([seed, name, index])


def van_der_corput(index: int, base: int) -> float:
    """Element `index` of the van der Corput sequence in [0, 1): even at every length, so it can be
    extended.
    """
    value, scale = 0.0, 1.0
    while index:
        index, digit = divmod(index, base)
        scale /= base
        value += digit * scale
    return value


def draw_strain(unit: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    """Map unit (2,) in [-1, 1] to strains (2,) along x and y whose larger one lies within [smallest,
    largest].
    """
    size = np.max(np.abs(unit))
    if size == 0.0:
        return np.zeros(2)
    return unit / size * (smallest + (largest - smallest) * size)


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """Copy stretched by strains (2,) along x and y."""
    stretched = sheet(atoms.positions[:, :2] * (1 + strain), atoms.numbers, plane(atoms) * (1 + strain))
    stretched.info.update(atoms.info)
    return stretched


def rattled(atoms: Atoms, amplitude: float, rng: np.random.Generator) -> Atoms:
    """Copy with Gaussian in-plane displacements of standard deviation `amplitude` (A) per axis.

    Both atoms of a pair that comes nearer than 1.05 A are drawn anew until no such pair is left.
    Raises InputError if that does not end, which needs amplitudes far above thermal ones.
    """
    if amplitude == 0.0:
        return atoms.copy()
    ideal = atoms.positions[:, :2].copy()
    moved = atoms.copy()
    moved.positions[:, :2] = ideal + rng.normal(scale=amplitude, size=ideal.shape)
    for _ in range(MAXIMUM_REDRAWS):
        close = np.unique(bonds(moved, MINIMUM_DISTANCE_A)[0])
        if len(close) == 0:
            return moved
        moved.positions[close, :2] = ideal[close] + rng.normal(scale=amplitude, size=(len(close), 2))
    raise InputError(
        f"displacement_A: {amplitude:.3f} A leaves pairs nearer than {MINIMUM_DISTANCE_A} A in "
        f"{MAXIMUM_REDRAWS} draws; take at most 0.25"
    )


def rounded(atoms: Atoms) -> Atoms:
    """Copy with cell and positions rounded to 1e-6 A and atoms wrapped into the cell."""
    vectors = np.round(plane(atoms), DECIMALS)
    positions = np.round(atoms.positions[:, :2], DECIMALS)
    # An atom on an edge, to the digits that are kept, is on the lower one.
    turns = np.floor(positions @ np.linalg.inv(vectors) + EDGE)
    wrapped = sheet(np.round(positions - turns @ vectors, DECIMALS) + 0.0, atoms.numbers, vectors)
    wrapped.info.update(atoms.info)
    return wrapped
