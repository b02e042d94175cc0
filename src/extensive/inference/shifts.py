"""Shift averages (test-time augmentation): the mean over copies of a sheet that DFT does not tell apart.

DFT's energy is the same for a sheet that is shifted, mirrored or has its axes exchanged. A network's is so only as far
as it has learned it (of exchange: if it met any), because pixels and layers of stride 2 distinguish places and
directions. What differs between copies is error, so their mean has less of it, and their spread is an uncertainty.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from extensive.images.placement import Placed
from extensive.models import Potential, domain
from extensive.structures.frame import frame_of


@dataclass(frozen=True)
class Symmetry:
    """r' = exchange(mirror(r) + shift): one copy of a sheet on the same grid."""

    shift: tuple[float, float]  # in steps of the network's first layers
    mirror: tuple[bool, bool]
    exchange: bool

    @property
    def matrix(self) -> np.ndarray:
        """The orthogonal matrix (2, 2) of mirrors and exchange, for column vectors."""
        mirrored = np.diag([-1.0 if flag else 1.0 for flag in self.mirror])
        return mirrored[::-1] if self.exchange else mirrored


def _eight(mirror: bool, exchange: bool) -> tuple[Symmetry, ...]:
    """One at each of eight shifts, the second four a quarter of a step further than the first; mirrored in four ways
    and, further, exchanged.
    """
    return tuple(
        Symmetry(
            (x / 2 + further / 4, y / 2 + further / 4), (mirror and bool(x), mirror and bool(y)), exchange and further
        )
        for further in (False, True)
        for x in (0, 1)
        for y in (0, 1)
    )


# The eight symmetries of a square grid; those of a network that met sheets lying one way only; and shifts alone, for
# one whose layers have the others by construction.
SYMMETRIES = _eight(mirror=True, exchange=True)
WITHOUT_EXCHANGE = _eight(mirror=True, exchange=False)
SHIFTS_ALONE = _eight(mirror=False, exchange=False)


def symmetries_for(potential: Potential) -> tuple[Symmetry, ...]:
    """Eight symmetries that the network of `potential` was trained to have, and does not have by construction."""
    if potential.config.symmetry != "none":
        return SHIFTS_ALONE
    return SYMMETRIES if knows_exchange(potential) else WITHOUT_EXCHANGE


def knows_exchange(potential: Potential) -> bool:
    """Whether the network met sheets with x and y exchanged or is bound to that symmetry; True if nothing is known."""
    return domain.knows_exchange(potential.config.symmetry, potential.metadata)


def copied(sheet: Placed, symmetry: Symmetry, step_A: np.ndarray) -> Placed:
    """A copy of a sheet on its grid; columns of `step_A` (2, 2) are what shifts of 1 along x and y mean, Angstrom."""
    positions = sheet.positions * np.where(symmetry.mirror, -1.0, 1.0) + step_A @ np.array(symmetry.shift)
    vectors, periods, pixels = sheet.vectors, sheet.periods, sheet.pixels_A
    if symmetry.exchange:
        positions = positions[:, ::-1].copy()
    if sheet.upright:
        cell = sheet.cell[::-1] if symmetry.exchange else sheet.cell
        positions, vectors = np.mod(positions, cell), np.diag(cell)
    else:
        matrix = symmetry.matrix
        vectors, periods = vectors @ matrix.T, np.rint(periods @ matrix.T).astype(int)
        pixels = matrix @ pixels @ matrix.T
    return replace(sheet, positions=positions, vectors=vectors, periods=periods, pixels_A=pixels)


def copies_of(potential: Potential, sheet: Atoms | Placed) -> list[Placed]:
    """The sheet's copies by `symmetries_for` this network, shifted in steps of its stride."""
    placed = potential.lay(sheet)
    stride = int(np.prod([layer[2] for layer in potential.config.stem])) if potential.config.stem else 1
    if placed.upright:
        height, width = potential.image_shape(placed.cell)
        pixels = np.diag(placed.cell / (width, height))
    else:
        pixels = placed.pixels_A
    return [copied(placed, symmetry, stride * pixels) for symmetry in symmetries_for(potential)]


def shift_average(potential: Potential, structures: Sequence[Atoms]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Means over copies: energies (B,), eV; their standard deviations (B,), eV; forces (N, 3), eV/A, of each."""
    energies, forces = of_copies(potential, structures)
    return energies.mean(axis=1), energies.std(axis=1, ddof=1), [found.mean(axis=0) for found in forces]


def of_copies(
    potential: Potential, structures: Sequence[Atoms], all_of_them: bool = True
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Energies (B, M), eV, and of each sheet forces (M, N, 3), eV/A, of its M copies: all, or the sheet alone."""
    symmetries = symmetries_for(potential) if all_of_them else SHIFTS_ALONE[:1]
    count = len(symmetries)
    placed = [potential.lay(atoms) for atoms in structures]
    copies = [copies_of(potential, sheet) if all_of_them else [sheet] for sheet in placed]
    energies, forces = potential.energies_and_forces(list(itertools.chain(*copies)))
    of_each = []
    for place, (sheet, atoms) in enumerate(zip(placed, structures, strict=True)):
        found = forces[place * count : (place + 1) * count]
        turned = [forces_back(force, symmetry) for force, symmetry in zip(found, symmetries, strict=True)]
        of_each.append(np.array([frame_of(atoms).back(sheet.back(force[:, :2])) for force in turned]))
    return energies.reshape(len(structures), count), of_each


def forces_back(forces: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """Forces (N, 3) on a copy's atoms as forces on the sheet's."""
    result = forces.copy()
    result[:, :2] = forces[:, :2] @ symmetry.matrix
    return result
