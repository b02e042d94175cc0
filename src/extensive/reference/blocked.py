"""GPAW's sums over pairs of basis functions on the grid, as products of dense matrices: the same numbers, sooner.

Most of the time of an LCAO calculation of a sheet goes into sums over the grid points G of products of two functions:
the matrix of the potential v, the density n of a density matrix rho, and the forces of v on the functions,

    V(1, 2) = dV sum_G phi_1(G) v(G) phi_2(G),      n(G) = sum_12 phi_1(G) rho(1, 2) phi_2(G),
    F(1) = dV sum_G2 d phi_1(G) / dr v(G) rho(1, 2) phi_2(G),

which GPAW adds up function by function. Here the grid is cut into square patches, near the sheet and far from it; the
functions that reach into one are the columns of a dense matrix, and the sums are products of such matrices. Those of V
and n are symmetric in 1 and 2, so that half of each product is enough.

Densities and forces are linear in the density matrix. Those of all k-points k are therefore added up first, for each
displacement d of cells between two functions, rho_d(1, 2) = sum_k Re[exp(2 pi i k d) rho_k(1, 2)], and the sums over
the grid are done once instead of once a k-point.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from extensive.reference.orbital_forces import orbital_forces

# Side of a patch in grid points: small enough that few functions reach in, large enough for efficient products.
PATCH_POINTS = 6
# Points further than this from the middle of the atoms (Bohr) have patches of their own: fewer functions reach there.
NEAR_BOHR = 3.0
# Strips that a symmetric product is cut into; of each, the part left of the diagonal is left out.
STRIPS = 3
# For slopes of radial functions (Bohr), which are cubic splines with values of order one: exact to 1e-10.
SLOPE_STEP = 1e-5


@dataclass(frozen=True)
class Patch:
    """Part of the grid and the F functions that reach into it, ordered by displacement of cells, then by function."""

    points: np.ndarray  # (P,) indices into the flat grid
    values: np.ndarray  # (P, F) functions on these points
    volumes: np.ndarray  # (F,) which periodic image of which radial function each column belongs to
    functions: np.ndarray  # (F,) index of the basis function
    columns: dict[int, slice]  # by displacement of cells, ascending


class Patches:
    """All functions of one GPAW `BasisFunctions` on the grid; valid until its atoms move."""

    def __init__(self, basis: Any) -> None:
        self.precision: type = np.float64
        heights = np.arange(basis.gd.beg_c[2], basis.gd.end_c[2]) * basis.gd.h_cv[2, 2]
        self.far = np.abs(heights - np.mean(basis.pos_Wv[:, 2])) > NEAR_BOHR
        nx, ny, nz = (int(n) for n in basis.gd.n_c)
        blocks = [block for a in basis.atom_indices for block in basis.sphere_a[a].G_wb]
        # Numbers of points, not the functions' values there: these are most of the memory of a label.
        pieces: dict[tuple[int, int], list[tuple[int, np.ndarray, np.ndarray]]] = {}
        for volume, block in enumerate(blocks):
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
                pieces.setdefault(key, []).append((volume, within[chosen].astype(np.int32), chosen.astype(np.int32)))
        self.patches = [
            patch for key, found in pieces.items() for patch in self._near_and_far(basis, key, found, (nx, ny, nz))
        ]

    def _near_and_far(
        self,
        basis: Any,
        key: tuple[int, int],
        found: list[tuple[int, np.ndarray, np.ndarray]],
        shape: tuple[int, int, int],
    ) -> Iterator[Patch]:
        """Patches of a square of the grid, made of `found`: volume, points within the square, and in the volume."""
        nx, ny, nz = shape
        x = np.arange(PATCH_POINTS) + key[0] * PATCH_POINTS
        y = np.arange(PATCH_POINTS) + key[1] * PATCH_POINTS
        points = ((x[:, None, None] * ny + y[:, None]) * nz + np.arange(nz)).ravel()
        inside = np.broadcast_to(((x < nx)[:, None] & (y < ny))[:, :, None], (len(x), len(y), nz)).ravel()
        counts = [basis.A_Wgm[volume].shape[1] for volume, _, _ in found]
        dense = np.zeros((len(points), sum(counts)))
        column = 0
        for (volume, within, chosen), count in zip(found, counts, strict=True):
            dense[within, column : column + count] = basis.A_Wgm[volume][chosen]
            column += count
        volumes = np.repeat([volume for volume, _, _ in found], counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        functions = basis.M_W[volumes] + np.arange(column) - first
        order = np.lexsort((functions, basis.x_W[volumes]))
        far = np.tile(self.far, len(points) // nz)
        for group in (np.flatnonzero(inside & ~far), np.flatnonzero(inside & far)):
            part = dense[group]
            # All components of a radial function, or none.
            kept = order[np.isin(volumes[order], volumes[part.any(axis=0)])]
            if not len(kept):
                continue
            group, part = group[part.any(axis=1)], part[np.ix_(part.any(axis=1), kept)]
            cells, starts = np.unique(basis.x_W[volumes[kept]], return_index=True)
            columns = {
                int(cell): slice(start, stop) for cell, start, stop in zip(cells, starts, [*starts[1:], len(kept)])
            }
            yield Patch(points[group], part, volumes[kept], functions[kept], columns)

    def single(self) -> "Patches":
        """The same in single precision."""
        other = copy(self)
        other.precision = np.float32
        other.patches = [replace(patch, values=patch.values.astype(np.float32)) for patch in self.patches]
        return other


def precision(basis: Any) -> type:
    """Number type of the products of `basis`."""
    return getattr(basis, "_extensive_precision", np.float64)


def set_precision(basis: Any, number_type: type) -> None:
    """Let the products of `basis` be in `number_type` from now on: float64, or float32 where all is only a start."""
    basis._extensive_precision = number_type


def has_patches(basis: Any) -> bool:
    """Whether sums of `basis` have been products of matrices since its atoms last moved."""
    return getattr(basis, "_extensive_patches", (None, {}))[0] is basis.lfc


def forget_patches(basis: Any) -> None:
    """Free the memory of the patches of `basis`; whatever needs them next makes them anew."""
    basis._extensive_patches = (None, {})


def _patches(basis: Any) -> Patches:
    """The patches of `basis`, made anew after its atoms have moved (GPAW replaces its C object then)."""
    made_for, made = getattr(basis, "_extensive_patches", (None, {}))
    if made_for is not basis.lfc:
        made = {}
        basis._extensive_patches = (basis.lfc, made)
    number_type = precision(basis)
    if np.float64 not in made:
        made[np.float64] = Patches(basis)
    if number_type == np.float64:
        made.pop(np.float32, None)  # single precision is for the start
    elif number_type not in made:
        made[number_type] = made[np.float64].single()
    return made[number_type]


def _strips(width: int) -> list[tuple[int, int]]:
    ends = np.linspace(0, width, STRIPS + 1).astype(int)
    return [(int(start), int(stop)) for start, stop in itertools.pairwise(ends) if stop > start]


def potential_matrices(basis: Any, potential: np.ndarray) -> np.ndarray:
    """Matrices (X, M, M) of a potential on the grid, one for each displacement of cells that GPAW wants."""
    patches = _patches(basis)
    found = np.zeros((len(basis.sdisp_xc), basis.Mmax, basis.Mmax), patches.precision)
    flat = (potential.ravel() * basis.gd.dv).astype(patches.precision)
    for patch in patches.patches:
        weighted = patch.values * flat[patch.points, None]
        width = weighted.shape[1]
        matrix = np.zeros((width, width), patches.precision)  # its upper triangle only
        for start, stop in _strips(width):
            matrix[start:stop, start:] = patch.values[:, start:stop].T @ weighted[:, start:]
        for one, rows in patch.columns.items():
            for other, others in patch.columns.items():
                if other >= one:
                    chosen = patch.functions[rows, None], patch.functions[others]
                    found[other - one][chosen] += matrix[rows, others]
    # Within a cell functions are in order, so that here too the upper triangle is all there is.
    found[0] = np.triu(found[0]) + np.triu(found[0], 1).T
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


def _pairs(patch: Patch, matrices: dict[int, np.ndarray], whole: bool) -> np.ndarray:
    """rho(1, 2) of the functions that reach into a patch, (F, F): all of it, or from the diagonal's blocks on."""
    width = len(patch.functions)
    part = np.zeros((width, width), patch.values.dtype)
    for one, rows in patch.columns.items():
        for other, others in patch.columns.items():
            chosen = patch.functions[rows, None], patch.functions[others]
            if other >= one:
                part[rows, others] = matrices[other - one].T[chosen]
            elif whole:
                part[rows, others] = matrices[one - other][chosen]
    return part


def add_density(basis: Any, matrices: dict[int, np.ndarray], density: np.ndarray) -> None:
    """Add the density of `real_space_matrices` to `density` on the grid."""
    flat = density.reshape(-1)
    for patch in _patches(basis).patches:
        # Each pair once: those off the diagonal count twice.
        pairs = 2 * np.triu(_pairs(patch, matrices, whole=False), 1)
        np.fill_diagonal(pairs, [matrices[0][m, m] for m in patch.functions])
        for start, stop in _strips(len(pairs)):
            partners = patch.values[:, :stop] @ pairs[:stop, start:stop]
            flat[patch.points] += np.einsum("pf,pf->p", patch.values[:, start:stop], partners)


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
        # The matrix of all pairs is symmetric: no matter which of its indices is summed over.
        weights = (patch.values @ _pairs(patch, matrices, whole=True)) * flat[patch.points, None]
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
