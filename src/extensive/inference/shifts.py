"""The same sheet drawn in other ways: what a network makes of them differs, and the mean is nearer to the truth.

DFT's energy is the same for a sheet that is shifted, mirrored or has its axes exchanged. A network's is so only as far
as it has learned it (of exchange: if it was shown any), because pixels and layers of stride 2 tell places and
directions apart. What differs from one drawing of a sheet to another is error, so the mean over several has less of it,
and their spread is an uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from extensive.images.placement import Placed
from extensive.models import Potential, domain
from extensive.structures.frame import frame_of


@dataclass(frozen=True)
class Drawing:
    """r' = exchange(mirror(r) + shift): one way to draw a sheet on the same grid."""

    shift: tuple[float, float]  # in steps of the network's first layers
    mirror: tuple[bool, bool]
    exchange: bool

    @property
    def matrix(self) -> np.ndarray:
        """The orthogonal matrix (2, 2) of mirrors and exchange, for column vectors."""
        mirrored = np.diag([-1.0 if flag else 1.0 for flag in self.mirror])
        return mirrored[::-1] if self.exchange else mirrored


def _eight(mirror: bool, exchange: bool) -> tuple[Drawing, ...]:
    """One at each of eight shifts, the second four a quarter of a step further than the first; mirrored in four ways
    and, further, exchanged.
    """
    return tuple(
        Drawing(
            (x / 2 + further / 4, y / 2 + further / 4), (mirror and bool(x), mirror and bool(y)), exchange and further
        )
        for further in (False, True)
        for x in (0, 1)
        for y in (0, 1)
    )


# The eight symmetries of a square grid; those of a network that met sheets lying one way only; and shifts alone, for
# one whose layers have the others by construction.
DRAWINGS = _eight(mirror=True, exchange=True)
UPRIGHT_DRAWINGS = _eight(mirror=True, exchange=False)
SHIFTED_DRAWINGS = _eight(mirror=False, exchange=False)


def drawings_for(potential: Potential) -> tuple[Drawing, ...]:
    """Eight drawings that the network of `potential` was trained to call the same, and is not bound to."""
    if potential.config.symmetry != "none":
        return SHIFTED_DRAWINGS
    return DRAWINGS if knows_exchange(potential) else UPRIGHT_DRAWINGS


def knows_exchange(potential: Potential) -> bool:
    """Whether the network met sheets with x and y exchanged or is bound to that symmetry; True if nothing is known."""
    return domain.knows_exchange(potential.config.symmetry, potential.metadata)


def redrawn(sheet: Placed, drawing: Drawing, step_A: np.ndarray) -> Placed:
    """A sheet on its grid in another drawing; columns of `step_A` (2, 2) are what shifts of 1 along x and y mean."""
    positions = sheet.positions * np.where(drawing.mirror, -1.0, 1.0) + step_A @ np.array(drawing.shift)
    vectors, periods, pixels = sheet.vectors, sheet.periods, sheet.pixels_A
    if drawing.exchange:
        positions = positions[:, ::-1].copy()
    if sheet.upright:
        cell = sheet.cell[::-1] if drawing.exchange else sheet.cell
        positions, vectors = np.mod(positions, cell), np.diag(cell)
    else:
        matrix = drawing.matrix
        vectors, periods = vectors @ matrix.T, np.rint(periods @ matrix.T).astype(int)
        pixels = matrix @ pixels @ matrix.T
    return replace(sheet, positions=positions, vectors=vectors, periods=periods, pixels_A=pixels)


def drawings_of(potential: Potential, sheet: Atoms | Placed) -> list[Placed]:
    """The sheet in all of `drawings_for` this network, shifted in steps of its stride."""
    placed = potential.lay(sheet)
    stride = int(np.prod([layer[2] for layer in potential.config.stem])) if potential.config.stem else 1
    if placed.upright:
        height, width = potential.image_shape(placed.cell)
        pixels = np.diag(placed.cell / (width, height))
    else:
        pixels = placed.pixels_A
    return [redrawn(placed, drawing, stride * pixels) for drawing in drawings_for(potential)]


def symmetric_energies_and_forces(
    potential: Potential, structures: Sequence[Atoms]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Means over drawings: energies (B,), eV; their standard deviations (B,), eV; forces (N, 3), eV/A, of each."""
    drawings = drawings_for(potential)
    count = len(drawings)
    placed = [potential.lay(atoms) for atoms in structures]
    energies, forces = potential.energies_and_forces(
        [copy for sheet in placed for copy in drawings_of(potential, sheet)]
    )
    table = energies.reshape(len(structures), count)
    means = []
    for place, (sheet, atoms) in enumerate(zip(placed, structures, strict=True)):
        found = forces[place * count : (place + 1) * count]
        mean = np.mean([turned_back(force, drawing) for force, drawing in zip(found, drawings)], axis=0)
        means.append(frame_of(atoms).back(sheet.back(mean[:, :2])))
    return table.mean(axis=1), table.std(axis=1, ddof=1), means


def turned_back(forces: np.ndarray, drawing: Drawing) -> np.ndarray:
    """Forces (N, 3) on a drawing's atoms as forces on the sheet's."""
    result = forces.copy()
    result[:, :2] = forces[:, :2] @ drawing.matrix
    return result
