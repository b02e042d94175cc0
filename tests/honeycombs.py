"""What tests count in a honeycomb: bonds of an atom, distances, rings. And springs along its bonds, as labels."""

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from extensive import keys
from extensive.structures.lattices import bonds

# Length at rest (A) and stiffness (eV/A^2) of the springs.
BOND_A, STIFFNESS = 1.42, 20.0


def spring_labelled(atoms: Atoms) -> tuple[Atoms, np.ndarray]:
    """`atoms` with energy and forces of springs between bonded atoms, and their virial (3, 3) (eV).

    The same physics in every cell and direction.
    """
    i, vectors = neighbor_list("iD", atoms, 1.85)
    lengths = np.linalg.norm(vectors, axis=1)
    pulls = STIFFNESS * ((lengths - BOND_A) / lengths)[:, None] * vectors
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, pulls)
    atoms.info[keys.REF_ENERGY] = float(0.25 * STIFFNESS * ((lengths - BOND_A) ** 2).sum()) - 9.0 * len(atoms)
    atoms.arrays[keys.REF_FORCES] = forces
    return atoms, 0.5 * pulls.T @ vectors


def coordination(atoms: Atoms, cutoff: float) -> np.ndarray:
    """Number of bonds (N,) of every atom."""
    return np.bincount(bonds(atoms, cutoff)[0], minlength=len(atoms))


def minimum_distance(atoms: Atoms, cutoff: float = 2.0) -> float:
    """Shortest interatomic distance (A), periodic images included; `cutoff` where none is shorter."""
    return float(np.min(neighbor_list("d", atoms, cutoff), initial=cutoff))


def ring_sizes(i: np.ndarray, j: np.ndarray, vectors: np.ndarray) -> list[int]:
    """Sizes of the faces of the planar bond network, sorted.

    Bonds are directed half-edges (i, j, vectors as from `bonds`). Walking from each one to the next bond
    clockwise around its end traces the face on its left, so every face of the periodic sheet is found exactly
    once.
    """
    angles = np.arctan2(vectors[:, 1], vectors[:, 0])
    by_atom: dict[int, list[int]] = {}
    for edge in np.lexsort((angles, i)):
        by_atom.setdefault(int(i[edge]), []).append(int(edge))
    successor = {}
    for edge in range(len(i)):
        outgoing = by_atom[int(j[edge])]
        back = next(e for e in outgoing if j[e] == i[edge] and np.allclose(vectors[e], -vectors[edge], atol=1e-9))
        successor[edge] = outgoing[outgoing.index(back) - 1]
    sizes, unseen = [], set(successor)
    while unseen:
        start = edge = min(unseen)
        size = 0
        while edge in unseen:
            unseen.remove(edge)
            edge, size = successor[edge], size + 1
        assert edge == start
        sizes.append(size)
    return sorted(sizes)
