"""In-plane graphene-hBN heterostructures: domains of several shapes on one honeycomb."""

import numpy as np
from ase import Atoms

from extensive.structures.cells import RECTANGULAR, Cell, heights, periodic_offset
from extensive.structures.lattices import honeycomb, sheet

SHAPES = ("stripe-x", "stripe-y", "triangle", "disc", "patches")


def domain_score(shape: str, positions: np.ndarray, vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scalar field (N,) whose lowest values form a domain of the given shape, placed at random.

    Stripes run along a period of the cell `vectors` (2, 2): x stands for the first, y for the second.
    """
    centre = rng.uniform(size=2) @ vectors
    if shape in ("stripe-x", "stripe-y"):
        across = 1 if shape == "stripe-x" else 0
        fractions = ((positions - centre) @ np.linalg.inv(vectors))[:, across]
        return np.abs(fractions - np.round(fractions)) * heights(vectors)[across]
    offset = periodic_offset(positions, centre, vectors)
    if shape == "disc":
        return np.hypot(offset[:, 0], offset[:, 1])
    if shape == "triangle":
        # One of the two orientations whose edges are zigzag, as grown islands have.
        angles = np.deg2rad([90.0, 210.0, 330.0]) + np.pi * rng.integers(2)
        return np.max(offset @ np.stack([np.cos(angles), np.sin(angles)]), axis=1)
    # Patches: a smooth periodic random field, so that domains have no preferred shape.
    waves = np.array([(kx, ky) for kx in range(-2, 3) for ky in range(0, 3) if (kx, ky) > (0, 0) or ky > 0])
    phases = 2 * np.pi * (positions @ np.linalg.inv(vectors) @ waves.T + rng.uniform(size=len(waves)))
    return np.cos(phases) @ rng.normal(size=len(waves))


def heterostructure(
    supercell: tuple[int, int],
    shape: str,
    hbn_fraction: float,
    lattice_constants: dict[str, float],
    rng: np.random.Generator,
    cell: Cell = RECTANGULAR,
) -> Atoms:
    """Graphene with an hBN domain (or the reverse; the domain's place is random) of about the given atom
    fraction.

    The lattice constant is Vegard's mean, a = (1 - x) a_graphene + x a_hBN with x the fraction that was
    reached. Which sublattice carries boron is drawn at random. Both materials are always present. `info` gets
    shape and hbn_fraction.
    """
    positions, sublattice, vectors = honeycomb(supercell, 1.0, cell)
    score = np.round(domain_score(shape, positions, vectors, rng), 6)
    if rng.integers(2):
        score = -score
    levels = np.unique(score)
    # Whole levels are taken, so that the edge of a stripe is straight; the level nearest to the wanted
    # fraction.
    fractions = np.searchsorted(np.sort(score), levels[:-1], side="right") / len(score)
    mask = score <= levels[np.argmin(np.abs(fractions - hbn_fraction))]
    reached = float(mask.mean())
    boron = rng.integers(2)
    numbers = np.where(mask, np.where(sublattice == boron, 5, 7), 6)
    lattice_constant = (1 - reached) * lattice_constants["graphene"] + reached * lattice_constants["hbn"]
    atoms = sheet(positions * lattice_constant, numbers, vectors * lattice_constant)
    atoms.info.update(shape=shape, hbn_fraction=round(reached, 6))
    return atoms
