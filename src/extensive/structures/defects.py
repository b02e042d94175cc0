"""Point defects at random sites, and the Stone-Wales defect with its bonds put right."""

import numpy as np
from ase import Atoms
from scipy.optimize import minimize

from extensive.structures.lattices import bond_cutoff, bond_length, bonds

# Ratio of angle to bond stiffness. Keating's graphene value is near 0.2; only the relaxed geometry matters
# here.
ANGLE_STIFFNESS = 0.2


def vacancies(atoms: Atoms, count: int, rng: np.random.Generator) -> Atoms:
    """Remove `count` atoms at random sites."""
    keep = np.ones(len(atoms), dtype=bool)
    keep[rng.choice(len(atoms), size=count, replace=False)] = False
    return atoms[keep]


def substitutions(atoms: Atoms, count: int, species: tuple[int, ...], rng: np.random.Generator) -> Atoms:
    """Replace `count` atoms at random sites, each by an element drawn from `species` (atomic numbers)."""
    atoms = atoms.copy()
    sites = rng.choice(len(atoms), size=count, replace=False)
    atoms.numbers[sites] = rng.choice(species, size=count)
    return atoms


def antisites(atoms: Atoms, count: int, rng: np.random.Generator) -> Atoms:
    """Put the other element on `count` random sites of hBN: nitrogen on boron's site or boron on
    nitrogen's.
    """
    atoms = atoms.copy()
    sites = rng.choice(len(atoms), size=count, replace=False)
    atoms.numbers[sites] = 12 - atoms.numbers[sites]
    return atoms


def _keating(flat, i, j, shifts, angle_a, angle_b, length):
    """Energy and gradient of Keating's model over directed bonds; polynomial, so smooth everywhere."""
    positions = flat.reshape(-1, 2)
    d = positions[j] - positions[i] + shifts
    stretch = np.sum(d * d, axis=1) - length**2
    bend = np.sum(d[angle_a] * d[angle_b], axis=1) + 0.5 * length**2
    # Every bond appears in both directions, hence the half.
    energy = 0.5 * np.sum(stretch**2) + ANGLE_STIFFNESS * np.sum(bend**2)
    by_bond = 2.0 * stretch[:, None] * d
    np.add.at(by_bond, angle_a, 2.0 * ANGLE_STIFFNESS * bend[:, None] * d[angle_b])
    np.add.at(by_bond, angle_b, 2.0 * ANGLE_STIFFNESS * bend[:, None] * d[angle_a])
    gradient = np.zeros_like(positions)
    np.add.at(gradient, j, by_bond)
    np.add.at(gradient, i, -by_bond)
    return energy, gradient.ravel()


def relax_bonds(positions: np.ndarray, i: np.ndarray, j: np.ndarray, shifts: np.ndarray, length: float) -> np.ndarray:
    """Relax positions (N, 2) with a fixed list of directed bonds i -> j (image shifts (M, 2) A) at a fixed
    cell.

    Keating's valence-force model (Phys. Rev. 145, 637 (1966)): bonds want `length` (A), angles want 120
    degrees.
    """
    same = i[:, None] == i[None, :]
    angle_a, angle_b = np.nonzero(np.triu(same, 1))
    result = minimize(
        _keating,
        positions.ravel(),
        args=(i, j, shifts, angle_a, angle_b, length),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 10000, "ftol": 1e-16, "gtol": 1e-9, "maxcor": 30},
    )
    relaxed = result.x.reshape(-1, 2)
    return relaxed - (relaxed - positions).mean(axis=0)


def stone_wales(atoms: Atoms, lattice_constant: float, rng: np.random.Generator) -> Atoms:
    """Rotate one random bond of graphene by 90 degrees, rewire it (5-7-7-5) and relax the sheet in its plane.

    The rotated atoms a and b each hand one neighbour to the other; the relaxation then brings every bond back
    near its length, which rotating coordinates alone does not. Every atom stays threefold coordinated.
    """
    length = bond_length(lattice_constant)
    i, j, vectors = bonds(atoms, bond_cutoff(lattice_constant))
    order = np.lexsort((np.round(vectors[:, 1], 6), np.round(vectors[:, 0], 6), j, i))
    i, j, vectors = i[order], j[order], vectors[order]
    positions = atoms.positions[:, :2].copy()

    chosen = rng.integers(len(i))
    a, b, bond = int(i[chosen]), int(j[chosen]), vectors[chosen]
    centre = positions[a] + bond / 2
    rotated = np.array([-bond[1], bond[0]])
    # a goes to -rotated/2, b to +rotated/2; coordinates are unwrapped around a, image vectors carry the rest.
    moved = {a: centre - rotated / 2, b: centre + rotated / 2}
    origin = {a: positions[a], b: positions[a] + bond}
    edges = []
    for p, q, v in zip(i, j, vectors, strict=True):
        p, q = int(p), int(q)
        if p in origin and not (q in origin and np.allclose(np.abs(v @ bond), length**2, atol=1e-6)):
            outer = origin[p] + v
            owner = b if (outer - centre) @ rotated > 0 else a
            edges.append((owner, q, outer - moved[owner]))
            edges.append((q, owner, moved[owner] - outer))
        elif p not in origin and q not in origin:
            edges.append((p, q, v))
    edges += [(a, b, rotated), (b, a, -rotated)]

    i = np.array([e[0] for e in edges])
    j = np.array([e[1] for e in edges])
    vectors = np.array([e[2] for e in edges])
    for atom, place in moved.items():
        positions[atom] = place
    shifts = vectors - (positions[j] - positions[i])
    atoms = atoms.copy()
    atoms.positions[:, :2] = relax_bonds(positions, i, j, shifts, length)
    return atoms
