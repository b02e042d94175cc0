"""Flat honeycomb sheets in periodic cells, and the bond and ring bookkeeping that every family shares."""

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from extensive.structures.cells import LATTICE, RECTANGULAR, Cell, along_x, lattice_points, periods_of

LATTICE_CONSTANTS_A = {"graphene": 2.46, "hbn": 2.504}
SHEET_HEIGHT_A = 10.0
# 1.25 times the bond: midway between first (1) and second (sqrt 3) neighbours is 1.37, and strained bonds
# must stay inside.
BOND_CUTOFF_FACTOR = 1.25
# Fractions of the rectangular 4-atom cell a x sqrt(3) a; x is the zigzag direction. Sublattices alternate A,
# B, A, B.
BASIS_FRACTIONS = np.array([[0.0, 1 / 6], [0.5, 1 / 3], [0.5, 2 / 3], [0.0, 5 / 6]])
BASIS_SUBLATTICE = np.array([0, 1, 0, 1])


def bond_length(lattice_constant: float) -> float:
    """Nearest-neighbour distance (A) of a honeycomb lattice with the given lattice constant (A)."""
    return lattice_constant / np.sqrt(3.0)


def cell_size(supercell: tuple[int, int], lattice_constant: float) -> np.ndarray:
    """Edges (Lx, Ly) in A of nx x ny rectangular 4-atom cells."""
    return np.array([supercell[0] * lattice_constant, supercell[1] * np.sqrt(3.0) * lattice_constant])


def honeycomb(
    supercell: tuple[int, int], lattice_constant: float, cell: Cell = RECTANGULAR
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (N, 2) in A, sublattice index (N,) in {0, 1} and periods (2, 2) in A of a pristine honeycomb.

    Its zigzag rows lie along x; see `extensive.structures.cells` for the cells.
    """
    nx, ny = supercell
    if cell == RECTANGULAR:
        corner = np.stack(np.meshgrid(np.arange(nx), np.arange(ny), indexing="xy"), axis=-1).reshape(-1, 1, 2)
        positions = (corner + BASIS_FRACTIONS).reshape(-1, 2) * cell_size((1, 1), lattice_constant)
        return positions, np.tile(BASIS_SUBLATTICE, nx * ny), np.diag(cell_size(supercell, lattice_constant))
    periods = periods_of(supercell, cell)
    points = lattice_points(periods)
    # The two atoms of a primitive cell, as in the rectangular one.
    basis = BASIS_FRACTIONS[:2] * cell_size((1, 1), 1.0)
    positions = ((points @ LATTICE)[:, None] + basis).reshape(-1, 2) * lattice_constant
    return positions, np.tile(BASIS_SUBLATTICE[:2], len(points)), periods @ LATTICE * lattice_constant


def sheet(positions: np.ndarray, numbers: np.ndarray, vectors: np.ndarray) -> Atoms:
    """Flat sheet as Atoms: positions (N, 2) A, numbers (N,), periods (2, 2) A; z = Lz/2, pbc (True, True,
    False).
    """
    full = np.column_stack([positions, np.full(len(positions), SHEET_HEIGHT_A / 2)])
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = vectors, SHEET_HEIGHT_A
    return Atoms(numbers=numbers, positions=full, cell=cell, pbc=(True, True, False))


def plane(atoms: Atoms) -> np.ndarray:
    """Periods (2, 2) of a sheet in the x-y plane, Angstrom."""
    return atoms.cell.array[:2, :2].copy()


def laid_along_x(atoms: Atoms) -> Atoms:
    """The sheet rotated so that its first period lies along x; itself if it does."""
    vectors = plane(atoms)
    if vectors[0, 1] == 0.0:
        return atoms
    turn = along_x(vectors)
    vectors = vectors @ turn
    vectors[0, 1] = 0.0
    rotated = sheet(atoms.positions[:, :2] @ turn, atoms.numbers, vectors)
    rotated.info.update(atoms.info)
    return rotated


def graphene(
    supercell: tuple[int, int],
    lattice_constant: float = LATTICE_CONSTANTS_A["graphene"],
    cell: Cell = RECTANGULAR,
) -> Atoms:
    """Pristine graphene of nx x ny cells: 4 nx ny atoms in rectangular ones."""
    positions, sublattice, vectors = honeycomb(supercell, lattice_constant, cell)
    return sheet(positions, np.full(len(sublattice), 6), vectors)


def hbn(
    supercell: tuple[int, int], lattice_constant: float = LATTICE_CONSTANTS_A["hbn"], cell: Cell = RECTANGULAR
) -> Atoms:
    """Pristine hexagonal boron nitride: boron on sublattice 0, nitrogen on sublattice 1."""
    positions, sublattice, vectors = honeycomb(supercell, lattice_constant, cell)
    return sheet(positions, np.where(sublattice == 0, 5, 7), vectors)


def bonds(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directed bonds shorter than cutoff (A): first atom i (M,), second atom j (M,), vectors i to j (M, 2)
    in A.
    """
    i, j, vectors = neighbor_list("ijD", atoms, cutoff)
    return i, j, vectors[:, :2]


def bond_cutoff(atoms_lattice_constant: float) -> float:
    """Distance (A) that separates bonds from second neighbours in a moderately distorted honeycomb."""
    return BOND_CUTOFF_FACTOR * bond_length(atoms_lattice_constant)
