"""Nano-pores in graphene: circular, hexagonal, triangular and slit-shaped."""

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from extensive.structures.cells import periodic_offset
from extensive.structures.lattices import bonds, plane

SHAPES = ("circle", "hexagon", "triangle", "slit")
SLIT_ASPECT = 2.0
# Widest extent of each shape in units of the radius of the circle of equal area.
EXTENT_PER_RADIUS = {
    "circle": 2.0,
    "hexagon": 2.0 * np.sqrt(2 * np.pi / (3 * np.sqrt(3))),
    "triangle": 2.0 * np.sqrt(np.pi / np.sqrt(3)),
    "slit": np.sqrt(np.pi * SLIT_ASPECT),
}


def least_radius(bond_length: float) -> float:
    """Least radius (A) of a pore, to 0.01: half a bond, where circles about bonded atoms touch.

    Down to it a pore of any shape removes an atom at more than half of all places; the share falls with the square.
    """
    return round(bond_length / 2, 2)


def inside_pore(shape: str, offset: np.ndarray, radius: float, rotated: bool) -> np.ndarray:
    """Which points (N,) lie in a pore, given their offsets (N, 2) in A from its centre.

    `radius` (A) is that of the circle of equal area, so that sizes compare across shapes. `rotated` picks the
    second orientation: slits along y, triangles pointing down, hexagons with armchair edges.
    """
    if shape == "circle":
        return np.hypot(offset[:, 0], offset[:, 1]) <= radius
    if shape == "hexagon":
        angles = np.deg2rad([30.0, 90.0, 150.0]) + (np.pi / 6 if rotated else 0.0)
        normals = np.stack([np.cos(angles), np.sin(angles)])
        return np.max(np.abs(offset @ normals), axis=1) <= radius * np.sqrt(np.pi / (2 * np.sqrt(3)))
    if shape == "triangle":
        angles = np.deg2rad([90.0, 210.0, 330.0]) + (np.pi if rotated else 0.0)
        normals = np.stack([np.cos(angles), np.sin(angles)])
        return np.max(offset @ normals, axis=1) <= radius * np.sqrt(np.pi / (3 * np.sqrt(3)))
    width = radius * np.sqrt(np.pi / SLIT_ASPECT)
    along, across = (1, 0) if rotated else (0, 1)
    return (np.abs(offset[:, along]) <= SLIT_ASPECT * width / 2) & (np.abs(offset[:, across]) <= width / 2)


def prune(atoms: Atoms, cutoff: float) -> Atoms:
    """Drop atoms with fewer than two bonds until none is left, then all but the largest connected piece."""
    while len(atoms):
        i, j, _ = bonds(atoms, cutoff)
        keep = np.bincount(i, minlength=len(atoms)) >= 2
        if keep.all():
            graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(atoms),) * 2)
            _, label = connected_components(graph, directed=False)
            keep = label == np.argmax(np.bincount(label))
            return atoms[keep]
        atoms = atoms[keep]
    return atoms


def porous(atoms: Atoms, shape: str, radius: float, cutoff: float, rng: np.random.Generator) -> Atoms:
    """Cut one pore of equal-area radius `radius` (A) at a random place; edges keep atoms of two bonds or
    more.

    Draws the place anew until the pore removes at least one atom: `radius` is at least `least_radius`. `info` gets
    shape and pore_radius_A.
    """
    vectors = plane(atoms)
    while True:
        centre, rotated = rng.uniform(size=2) @ vectors, bool(rng.integers(2))
        offset = periodic_offset(atoms.positions[:, :2], centre, vectors)
        mask = inside_pore(shape, offset, radius, rotated)
        if mask.any():
            break
    cut = prune(atoms[~mask], cutoff)
    cut.info.update(shape=shape, pore_radius_A=round(radius, 6))
    return cut
