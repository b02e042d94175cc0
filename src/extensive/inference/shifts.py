"""The same sheet drawn in other ways: what a network makes of them differs, and the mean is nearer to the truth.

DFT's energy is the same for a sheet that is shifted, mirrored or has its axes exchanged. A network's is so only as far
as it has learned it (of exchange: if it was shown any), because pixels and layers of stride 2 tell places and
directions apart. What differs from one drawing of a sheet to another is error, so the mean over several has less of it,
and their spread is an uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from extensive.models import Potential


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
    if potential.config.symmetry == "square" or "training" not in potential.metadata:
        return True
    augmentation = potential.metadata["training"].get("augmentation")
    return augmentation is not None and bool(augmentation.get("transpose", True))


def redrawn(atoms: Atoms, drawing: Drawing, step_A: Sequence[float]) -> Atoms:
    """The sheet in another drawing; `step_A` (x, y) is what a shift of 1 means. Labels are left behind."""
    lengths = np.diag(np.asarray(atoms.cell)).copy()
    positions = atoms.positions.copy()
    positions[:, :2] = positions[:, :2] * np.where(drawing.mirror, -1.0, 1.0) + np.multiply(drawing.shift, step_A)
    if drawing.exchange:
        positions[:, :2], lengths[:2] = positions[:, 1::-1].copy(), lengths[1::-1].copy()
    positions[:, :2] %= lengths[:2]
    return Atoms(atoms.numbers, positions=positions, cell=lengths, pbc=atoms.pbc)


def drawings_of(potential: Potential, atoms: Atoms) -> list[Atoms]:
    """The sheet in all of `drawings_for` this network, shifted in steps of its stride."""
    lengths = np.diag(np.asarray(atoms.cell))[:2]
    height, width = potential.image_shape(lengths)
    stride = int(np.prod([layer[2] for layer in potential.config.stem])) if potential.config.stem else 1
    return [redrawn(atoms, drawing, stride * lengths / (width, height)) for drawing in drawings_for(potential)]


def symmetric_energies_and_forces(
    potential: Potential, structures: Sequence[Atoms]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Means over drawings: energies (B,), eV; their standard deviations (B,), eV; forces (N, 3), eV/A, of each."""
    drawings = drawings_for(potential)
    count = len(drawings)
    drawn = [copy for atoms in structures for copy in drawings_of(potential, atoms)]
    energies, forces = potential.energies_and_forces(drawn)
    table = energies.reshape(len(structures), count)
    means = [
        np.mean([turned_back(force, drawing) for force, drawing in zip(forces[i : i + count], drawings)], axis=0)
        for i in range(0, len(drawn), count)
    ]
    return table.mean(axis=1), table.std(axis=1, ddof=1), means


def turned_back(forces: np.ndarray, drawing: Drawing) -> np.ndarray:
    """Forces (N, 3) on a drawing's atoms as forces on the sheet's."""
    result = forces.copy()
    result[:, :2] = forces[:, :2] @ drawing.matrix
    return result
