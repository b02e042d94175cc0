"""GPAW's sums over pairs of basis functions on the grid, as products of dense matrices: the same numbers, sooner.

Most of the time of an LCAO calculation of a sheet goes into sums over the grid points G of products of two functions:
the matrix of the potential v, the density n of a density matrix rho, and the forces of v on the functions,

    V(1, 2) = dV sum_G phi_1(G) v(G) phi_2(G),      n(G) = sum_12 phi_1(G) rho(1, 2) phi_2(G),
    F(1) = dV sum_G2 d phi_1(G) / dr v(G) rho(1, 2) phi_2(G),

which GPAW adds up function by function. Here the grid is cut into square patches; the functions that reach into one are
the columns of a dense matrix, and the sums are products of such matrices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

# Side of a patch in grid points: small enough that few functions reach in, large enough for efficient products.
PATCH_POINTS = 6
# For slopes of radial functions (Bohr), which are cubic splines with values of order one: exact to 1e-10.
SLOPE_STEP = 1e-5


@dataclass(frozen=True)
class Patch:
    """Part of the grid, whole along z, and the F functions that reach into it."""

    points: np.ndarray  # (P,) indices into the flat grid
    values: np.ndarray  # (P, F) functions on these points
    volumes: np.ndarray  # (F,) which periodic image of which radial function each column belongs to
    functions: np.ndarray  # (F,) index of the basis function


class Patches:
    """All functions of one GPAW `BasisFunctions` on the grid; valid until its atoms move."""

    def __init__(self, basis: Any) -> None:
        nx, ny, nz = (int(n) for n in basis.gd.n_c)
        blocks = [block for a in basis.atom_indices for block in basis.sphere_a[a].G_wb]
        pieces: dict[tuple[int, int], list[tuple[int, np.ndarray, np.ndarray]]] = {}
        for volume, (block, values) in enumerate(zip(blocks, basis.A_Wgm, strict=True)):
            ranges = np.asarray(block).reshape(-1, 2)
            lengths = ranges[:, 1] - ranges[:, 0]
            first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            points = np.arange(lengths.sum()) + np.repeat(ranges[:, 0] - first, lengths)
            column, z = np.divmod(points, nz)
            x, y = np.divmod(column, ny)
            patch = (x // PATCH_POINTS) * (ny // PATCH_POINTS + 1) + y // PATCH_POINTS
            within = ((x % PATCH_POINTS) * PATCH_POINTS + y % PATCH_POINTS) * nz + z
            order = np.argsort(patch, kind="stable")
            starts = np.flatnonzero(np.diff(patch[order], prepend=-1))
            for chosen in np.split(order, starts[1:]):
                key = divmod(int(patch[chosen[0]]), ny // PATCH_POINTS + 1)
                pieces.setdefault(key, []).append((volume, within[chosen], values[chosen]))
        self.patches = [self._patch(basis, key, found, (nx, ny, nz)) for key, found in pieces.items()]

    @staticmethod
    def _patch(
        basis: Any, key: tuple[int, int], found: list[tuple[int, np.ndarray, np.ndarray]], shape: tuple[int, int, int]
    ) -> Patch:
        nx, ny, nz = shape
        x = np.arange(PATCH_POINTS) + key[0] * PATCH_POINTS
        y = np.arange(PATCH_POINTS) + key[1] * PATCH_POINTS
        points = ((x[:, None, None] * ny + y[:, None]) * nz + np.arange(nz)).ravel()
        inside = np.broadcast_to(((x < nx)[:, None] & (y < ny))[:, :, None], (len(x), len(y), nz)).ravel()
        counts = [values.shape[1] for _, _, values in found]
        dense = np.zeros((len(points), sum(counts)))
        column = 0
        for _, within, values in found:
            dense[within, column : column + values.shape[1]] = values
            column += values.shape[1]
        volumes = np.repeat([volume for volume, _, _ in found], counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        functions = basis.M_W[volumes] + np.arange(column) - first
        return Patch(points[inside], dense[inside], volumes, functions)


def _patches(basis: Any) -> Patches:
    """The patches of `basis`, made anew after its atoms have moved (GPAW replaces its C object then)."""
    made_for, patches = getattr(basis, "_extensive_patches", (None, None))
    if made_for is not basis.lfc:
        patches = Patches(basis)
        basis._extensive_patches = (basis.lfc, patches)
    return patches


def _whole(basis: Any) -> bool:
    """Whether this process has all of the grid and all rows, of a calculation with k-points."""
    return basis.gd.comm.size == 1 and (basis.Mstart, basis.Mstop) == (0, basis.Mmax) and basis.dtype == complex


def potential_matrices(basis: Any, potential: np.ndarray) -> np.ndarray:
    """Matrices (X, M, M) of a potential on the grid, one for each displacement of cells that GPAW wants."""
    found = np.zeros((len(basis.sdisp_xc), basis.Mmax, basis.Mmax))
    flat = potential.ravel() * basis.gd.dv
    for patch in _patches(basis).patches:
        matrix = patch.values.T @ (patch.values * flat[patch.points, None])
        cell = basis.x_W[patch.volumes]
        columns = {displacement: np.flatnonzero(cell == displacement) for displacement in np.unique(cell)}
        for one, rows in columns.items():
            for other, others in columns.items():
                if other >= one:
                    target = found[other - one]
                    target[np.ix_(patch.functions[rows], patch.functions[others])] += matrix[np.ix_(rows, others)]
    return found


def _partners(basis: Any, patch: Patch, density_matrix: np.ndarray, q: int) -> np.ndarray:
    """sum_2 rho(1, 2) phi_2(G), (P, F), for each function 1 that reaches into a patch; rho (M, M) is Hermitian."""
    phase = basis.phase_qW[q][patch.volumes]
    part = density_matrix[np.ix_(patch.functions, patch.functions)]
    # The real part of a Hermitian matrix is symmetric: no matter which of its indices is summed over.
    return patch.values @ (phase[:, None] * phase.conj() * part).real


def add_density(basis: Any, density_matrix: np.ndarray, density: np.ndarray, q: int) -> None:
    """Add the density of a Hermitian density matrix (M, M) at k-point `q` to `density` on the grid."""
    flat = density.reshape(-1)
    for patch in _patches(basis).patches:
        flat[patch.points] += np.einsum("pf,pf->p", patch.values, _partners(basis, patch, density_matrix, q))


def force_contribution(basis: Any, potential: np.ndarray, density_matrix: np.ndarray, q: int) -> np.ndarray:
    """Forces (A, 3) of a potential on the grid on the basis functions of each atom, of a Hermitian density matrix."""
    gd = basis.gd
    index = np.stack(np.unravel_index(np.arange(potential.size), potential.shape), axis=1) + gd.beg_c
    coordinates = index @ gd.h_cv
    splines = [spline for sphere in basis.sphere_a for spline in sphere.spline_j]
    first = np.concatenate([[0], np.cumsum([2 * spline.get_angular_momentum_number() + 1 for spline in splines])])
    flat = potential.ravel() * gd.dv
    forces = np.zeros((3, basis.Mmax))
    for patch in _patches(basis).patches:
        weights = _partners(basis, patch, density_matrix, q) * flat[patch.points, None]
        place = coordinates[patch.points]
        starts = np.flatnonzero(np.diff(patch.volumes, prepend=-1))
        for start in starts:
            volume, function = patch.volumes[start], patch.functions[start]
            spline = splines[np.searchsorted(first, function)]
            vectors = place - basis.pos_Wv[volume]
            near = np.flatnonzero(np.einsum("pv,pv->p", vectors, vectors) < spline.get_cutoff() ** 2)
            gradient = _gradient(spline, vectors[near])  # (3, P', 2l + 1)
            columns = slice(start, start + gradient.shape[2])
            forces[:, patch.functions[columns]] += np.einsum("vpm,pm->vm", gradient, weights[near, columns])
    per_atom = [forces[:, m : m + sphere.Mmax].sum(axis=1) for m, sphere in zip(basis.M_a, basis.sphere_a)]
    return 2.0 * np.array(per_atom)


def _gradient(spline: Any, vectors: np.ndarray) -> np.ndarray:
    """Gradients (3, P, 2l + 1) of f(r) r^l Y_lm at vectors (P, 3) from its centre."""
    from gpaw.sphere.spherical_harmonics import Y, nablarlYL

    degree = spline.get_angular_momentum_number()
    r = np.sqrt(np.einsum("pv,pv->p", vectors, vectors))
    value = spline.map(r)
    slope = (spline.map(r + SLOPE_STEP) - spline.map(np.abs(r - SLOPE_STEP))) / (2 * SLOPE_STEP)
    radial = vectors.T * np.divide(slope, r, out=np.zeros_like(r), where=r > SLOPE_STEP)
    found = np.empty((3, len(r), 2 * degree + 1))
    for m in range(2 * degree + 1):
        harmonic = degree**2 + m
        found[:, :, m] = radial * Y(harmonic, *vectors.T)
        for axis, derivative in enumerate(nablarlYL(harmonic, vectors.T)):
            found[axis, :, m] += value * derivative
    return found


@contextmanager
def dense_products() -> Iterator[None]:
    """GPAW calculations inside use these products where they can; all others are GPAW's own."""
    from gpaw.lfc import BasisFunctions

    def calculate_potential_matrices(self: Any, vt_G: np.ndarray) -> np.ndarray:
        return potential_matrices(self, vt_G) if _whole(self) else own["calculate_potential_matrices"](self, vt_G)

    def construct_density(self: Any, rho_MM: np.ndarray, nt_G: np.ndarray, q: int) -> None:
        if _whole(self) and nt_G.flags.c_contiguous:
            add_density(self, rho_MM, nt_G, q)
        else:
            own["construct_density"](self, rho_MM, nt_G, q)

    def calculate_force_contribution(self: Any, vt_G: np.ndarray, rhoT_MM: np.ndarray, q: int) -> np.ndarray:
        if _whole(self):
            return force_contribution(self, vt_G, rhoT_MM.T, q)
        return own["calculate_force_contribution"](self, vt_G, rhoT_MM, q)

    replaced = (calculate_potential_matrices, construct_density, calculate_force_contribution)
    own = {function.__name__: getattr(BasisFunctions, function.__name__) for function in replaced}
    for function in replaced:
        setattr(BasisFunctions, function.__name__, function)
    try:
        yield
    finally:
        for name, function in own.items():
            setattr(BasisFunctions, name, function)
