"""GPAW's sums over pairs of basis functions on the grid, as products of dense matrices: the same numbers, sooner.

Most of the time of an LCAO calculation of a sheet goes into sums over the grid points G of products of two functions:
the matrix of the potential v, the density n of a density matrix rho, and the forces of v on the functions,

    V(1, 2) = dV sum_G phi_1(G) v(G) phi_2(G),      n(G) = sum_12 phi_1(G) rho(1, 2) phi_2(G),
    F(1) = dV sum_G2 d phi_1(G) / dr v(G) rho(1, 2) phi_2(G),

which GPAW adds up function by function. Here the grid is cut into square patches; the functions that reach into one are
the columns of a dense matrix, and the sums are products of such matrices.

Densities and forces are linear in the density matrix. Those of all k-points k are therefore added up first, for each
displacement d of cells between two functions, rho_d(1, 2) = sum_k Re[exp(2 pi i k d) rho_k(1, 2)], and the sums over
the grid are done once instead of once a k-point.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from extensive.reference.orbital_forces import orbital_forces

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
    """All functions of one GPAW `BasisFunctions` on the grid; valid until its atoms move.

    `precision` is the number type of the products: float64, or float32 for a density that is only a start.
    """

    def __init__(self, basis: Any, precision: type = np.float64) -> None:
        self.precision = precision
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

    def _patch(
        self,
        basis: Any,
        key: tuple[int, int],
        found: list[tuple[int, np.ndarray, np.ndarray]],
        shape: tuple[int, int, int],
    ) -> Patch:
        nx, ny, nz = shape
        x = np.arange(PATCH_POINTS) + key[0] * PATCH_POINTS
        y = np.arange(PATCH_POINTS) + key[1] * PATCH_POINTS
        points = ((x[:, None, None] * ny + y[:, None]) * nz + np.arange(nz)).ravel()
        inside = np.broadcast_to(((x < nx)[:, None] & (y < ny))[:, :, None], (len(x), len(y), nz)).ravel()
        counts = [values.shape[1] for _, _, values in found]
        dense = np.zeros((len(points), sum(counts)), self.precision)
        column = 0
        for _, within, values in found:
            dense[within, column : column + values.shape[1]] = values
            column += values.shape[1]
        reached = np.flatnonzero(dense.any(axis=1))  # functions end where the vacuum is deep
        points, inside, dense = points[reached], inside[reached], dense[reached]
        volumes = np.repeat([volume for volume, _, _ in found], counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        functions = basis.M_W[volumes] + np.arange(column) - first
        return Patch(points[inside], dense[inside], volumes, functions)


def _patches(basis: Any) -> Patches:
    """The patches of `basis`, made anew after its atoms have moved (GPAW replaces its C object then)."""
    made_for, patches = getattr(basis, "_extensive_patches", (None, None))
    if made_for is not basis.lfc:
        patches = Patches(basis, getattr(basis, "_extensive_precision", np.float64))
        basis._extensive_patches = (basis.lfc, patches)
    return patches


def use_single_precision(basis: Any) -> None:
    """Let the products of `basis` be in single precision from now on."""
    basis._extensive_precision = np.float32
    basis._extensive_patches = (None, None)


def potential_matrices(basis: Any, potential: np.ndarray) -> np.ndarray:
    """Matrices (X, M, M) of a potential on the grid, one for each displacement of cells that GPAW wants."""
    found = np.zeros((len(basis.sdisp_xc), basis.Mmax, basis.Mmax))
    patches = _patches(basis)
    flat = (potential.ravel() * basis.gd.dv).astype(patches.precision)
    for patch in patches.patches:
        matrix = patch.values.T @ (patch.values * flat[patch.points, None])
        cell = basis.x_W[patch.volumes]
        columns = {displacement: np.flatnonzero(cell == displacement) for displacement in np.unique(cell)}
        for one, rows in columns.items():
            for other, others in columns.items():
                if other >= one:
                    target = found[other - one]
                    target[np.ix_(patch.functions[rows], patch.functions[others])] += matrix[np.ix_(rows, others)]
    return found


def real_space_matrices(basis: Any, density_matrices: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Density matrices (M, M), real, by displacement d >= 0 of cells, of Hermitian ones (M, M) by index of k-point.

    That of -d is the transposed one of d.
    """
    codes, first = np.unique(basis.x_W, return_index=True)
    pairs = {int(one - other): (i, j) for i, one in zip(first, codes) for j, other in zip(first, codes) if one >= other}
    phases = np.array(
        [[basis.phase_qW[q][i] * basis.phase_qW[q][j].conj() for q in density_matrices] for i, j in pairs.values()]
    )
    parts = np.stack([part.ravel() for rho in density_matrices.values() for part in (rho.real, rho.imag)])
    weights = np.stack([phases.real, -phases.imag], axis=2).reshape(len(pairs), -1)
    return dict(zip(pairs, (weights @ parts).reshape(-1, basis.Mmax, basis.Mmax)))


def _partners(basis: Any, patch: Patch, matrices: dict[int, np.ndarray]) -> np.ndarray:
    """sum_2 rho(1, 2) phi_2(G), (P, F), for each function 1 that reaches into a patch."""
    cell = basis.x_W[patch.volumes]
    columns = {int(code): np.flatnonzero(cell == code) for code in np.unique(cell)}
    part = np.empty((len(cell), len(cell)), patch.values.dtype)
    for one, rows in columns.items():
        for other, others in columns.items():
            chosen = np.ix_(patch.functions[rows], patch.functions[others])
            matrix = matrices[one - other] if one >= other else matrices[other - one].T
            part[np.ix_(rows, others)] = matrix[chosen]
    # The matrix of all pairs is symmetric: no matter which of its indices is summed over.
    return patch.values @ part


def add_density(basis: Any, matrices: dict[int, np.ndarray], density: np.ndarray) -> None:
    """Add the density of `real_space_matrices` to `density` on the grid."""
    flat = density.reshape(-1)
    for patch in _patches(basis).patches:
        flat[patch.points] += np.einsum("pf,pf->p", patch.values, _partners(basis, patch, matrices))


def force_contribution(basis: Any, potential: np.ndarray, matrices: dict[int, np.ndarray]) -> np.ndarray:
    """Forces (A, 3) of a potential on the grid on the basis functions of each atom, of `real_space_matrices`."""
    gd = basis.gd
    index = np.stack(np.unravel_index(np.arange(potential.size), potential.shape), axis=1) + gd.beg_c
    coordinates = index @ gd.h_cv
    splines = [spline for sphere in basis.sphere_a for spline in sphere.spline_j]
    first = np.concatenate([[0], np.cumsum([2 * spline.get_angular_momentum_number() + 1 for spline in splines])])
    flat = potential.ravel() * gd.dv
    # All points that one periodic image of a radial function reaches, from all patches, are treated together.
    pieces: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for patch in _patches(basis).patches:
        weights = _partners(basis, patch, matrices) * flat[patch.points, None]
        starts = np.flatnonzero(np.diff(patch.volumes, prepend=-1))
        places = coordinates[patch.points]
        for start, block in zip(starts, np.split(weights, starts[1:], axis=1), strict=True):
            volume, function = int(patch.volumes[start]), int(patch.functions[start])
            spline = splines[np.searchsorted(first, function)]
            squares = np.square(places - basis.pos_Wv[volume]).sum(axis=1)
            near = np.flatnonzero(squares < spline.get_cutoff() ** 2)
            pieces.setdefault(volume, []).append((function, patch.points[near], block[near]))
    forces = np.zeros((3, basis.Mmax))
    for volume, found in pieces.items():
        function = found[0][0]
        vectors = coordinates[np.concatenate([points for _, points, _ in found])] - basis.pos_Wv[volume]
        weights = np.concatenate([block for _, _, block in found])
        sums = _force(splines[np.searchsorted(first, function)], vectors, weights)
        forces[:, function : function + weights.shape[1]] += sums
    per_atom = [forces[:, m : m + sphere.Mmax].sum(axis=1) for m, sphere in zip(basis.M_a, basis.sphere_a)]
    return 2.0 * np.array(per_atom)


def _force(spline: Any, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums (3, 2l + 1) over points P of weights (P, 2l + 1) and gradients of f(r) r^l Y_lm, r the `vectors` (P, 3).

    A gradient is f'(r)/r r^l Y_lm times the vector, and f(r) times the gradient of r^l Y_lm.
    """
    from gpaw.sphere.spherical_harmonics import Y, nablarlYL

    degree = spline.get_angular_momentum_number()
    r = np.sqrt(np.einsum("pv,pv->p", vectors, vectors))
    value = spline.map(r)
    slope = (spline.map(r + SLOPE_STEP) - spline.map(np.abs(r - SLOPE_STEP))) / (2 * SLOPE_STEP)
    radial = np.divide(slope, r, out=np.zeros_like(r), where=r > SLOPE_STEP)
    xyz = np.ascontiguousarray(vectors.T)
    found = np.empty((3, 2 * degree + 1))
    for m in range(2 * degree + 1):
        harmonic = degree**2 + m
        found[:, m] = xyz @ (radial * weights[:, m] * Y(harmonic, *xyz))
        if degree:
            weighted = value * weights[:, m]
            for axis, derivative in enumerate(nablarlYL(harmonic, xyz)):
                found[axis, m] += np.sum(weighted * derivative)
    return found


def whole(basis: Any) -> bool:
    """Whether this process has all of the grid and all rows, of a calculation with k-points."""
    return basis.gd.comm.size == 1 and (basis.Mstart, basis.Mstop) == (0, basis.Mmax) and basis.dtype == complex


@contextmanager
def dense_products() -> Iterator[None]:
    """GPAW's LCAO calculations inside use these products where they can; all others are GPAW's own."""
    from gpaw.lfc import BasisFunctions
    from gpaw.new.ibzwfs import IBZWaveFunctions
    from gpaw.new.lcao.ibzwfs import LCAOIBZWaveFunctions

    own_potential = BasisFunctions.calculate_potential_matrices

    def calculate_potential_matrices(self: Any, vt_G: np.ndarray) -> np.ndarray:
        return potential_matrices(self, vt_G) if whole(self) else own_potential(self, vt_G)

    def add_to_density(self: Any, nt_sR: Any, D_asii: Any) -> None:
        functions = list(self)
        basis = functions[0].basis
        if not (whole(basis) and self.ncomponents == 1 and nt_sR.data[0].flags.c_contiguous):
            IBZWaveFunctions.add_to_density(self, nt_sR, D_asii)
            return
        matrices = {wfs.q: wfs.calculate_density_matrix() for wfs in functions}
        add_density(basis, real_space_matrices(basis, matrices), nt_sR.data[0])
        for wfs in functions:
            wfs.add_to_atomic_density_matrices(wfs.weight * wfs.spin_degeneracy * wfs.myocc_n, D_asii)
        for communicator in (self.kpt_comm, self.band_comm):
            communicator.sum(nt_sR.data)
            communicator.sum(D_asii.data)

    def forces(self: Any, potential: Any, hamiltonian: Any, D_asii: Any) -> np.ndarray:
        functions = list(self)
        basis = functions[0].basis
        if not (whole(basis) and self.ncomponents == 1):
            return IBZWaveFunctions.forces(self, potential, hamiltonian, D_asii)
        matrices = {wfs.q: wfs.calculate_density_matrix() for wfs in functions}
        found = force_contribution(basis, potential.vt_sR.data[0], real_space_matrices(basis, matrices))
        for wfs in functions:
            found += orbital_forces(wfs, potential, matrices[wfs.q])
        self.kpt_band_comm.sum(found)
        return found

    BasisFunctions.calculate_potential_matrices = calculate_potential_matrices
    LCAOIBZWaveFunctions.add_to_density = add_to_density
    LCAOIBZWaveFunctions.forces = forces
    try:
        yield
    finally:
        BasisFunctions.calculate_potential_matrices = own_potential
        del LCAOIBZWaveFunctions.add_to_density, LCAOIBZWaveFunctions.forces
