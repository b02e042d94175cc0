"""Labelled structures as the training loop takes them: scaled targets, batches of equal image shape."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.images.oblique import Torus, torus_of
from extensive.images.placement import Placed, aligned
from extensive.images.raster import AtomBatch, image_shape
from extensive.models import Potential
from extensive.structures.frame import frame_of
from extensive.structures.stress import strain_gradient_of
from extensive.training.augment import Augmentation, Sheet, augmented, collate, draw_angle, draw_pitch
from extensive.training.ranks import Ranks
from extensive.training.reference_energies import count_elements
from extensive.training.rotate import rotated_batch

# A validation batch holds no more than this many structures, so that memory stays that of training.
EVALUATION_BATCH = 16
# Cells of a training batch that differ by no more than this, as strained ones do, become images of one shape: a batch
# in one piece takes half the time of one in four.
SAME_CELL = 0.05
# Batches are made of cells that differ by no more than this from each other's, as far as there are enough of them.
ALIKE = 0.15


@dataclass(frozen=True)
class Group:
    """Structures of one image shape within a batch, with their labels."""

    atoms: AtomBatch  # B structures
    shape: tuple[int, int]  # (H, W)
    energies: torch.Tensor  # (B,) | eV, less per-element energies
    forces: torch.Tensor | None  # (A, 2) | eV/Angstrom
    counts: torch.Tensor  # (B,) | atoms
    charges: torch.Tensor | None = None  # (B,) | electrons, nan of those without an auxiliary loss; None where all are
    images: torch.Tensor | None = None  # (B, C, H, W) | where they were made beforehand
    torus: Torus | None = None  # of sheets that are rotated against their grid
    pixels: torch.Tensor | None = None  # (B, 2, 2) | and the steps of its pixels, Angstrom
    # (B, 2, 2) | dE/d(strain), eV, nan of those whose stress is not known; None where all are
    strain_gradients: torch.Tensor | None = None


def make_sheets(
    structures: Sequence[Atoms],
    reference_energies: dict[str, float],
    with_forces: bool,
    charge_of: Callable[[Atoms], float | None] | None = None,
    lay: Callable[[Atoms], Placed] = aligned,
    with_stress: bool = False,
) -> list[Sheet]:
    """Sheets of labelled structures; energies less the per-element energies, and charges (electrons) of `charge_of`.

    With `with_stress` those that have REF_stress get a strain gradient. `lay` brings a structure onto a grid that the
    network takes (`Potential.lay`), as several cells where need be. Raises InputError for a structure without
    REF_energy, or without REF_forces where forces are to be learned.
    """
    elements = list(reference_energies)
    additive = count_elements(structures, elements) @ np.array([reference_energies[symbol] for symbol in elements])
    sheets = []
    for atoms, known in zip(structures, additive):
        name = atoms.info.get(keys.STRUCTURE_ID, str(atoms.symbols))
        if keys.REF_ENERGY not in atoms.info:
            raise InputError(f"{name}: no {keys.REF_ENERGY}; only labelled structures can be learned from")
        if with_forces and keys.REF_FORCES not in atoms.arrays:
            raise InputError(f"{name}: no {keys.REF_FORCES}; label it with forces or set training.forces_weight: 0")
        placed, forces = lay(atoms), None
        if with_forces:
            forces = np.tile(frame_of(atoms).in_plane(atoms.arrays[keys.REF_FORCES]), (placed.copies, 1))
            forces = forces if np.array_equal(placed.rotation, np.eye(2)) else forces @ placed.rotation.T
        gradient = strain_gradient_of(atoms) if with_stress else None
        if gradient is not None:
            axes = placed.rotation @ frame_of(atoms).axes[:2]
            gradient = placed.copies * axes @ gradient @ axes.T
        charge = charge_of(atoms) if charge_of else None
        sheets.append(
            Sheet(
                positions=placed.positions.copy(),
                numbers=placed.numbers.copy(),
                cell=np.linalg.norm(placed.vectors, axis=1),
                energy_eV=placed.copies * (float(atoms.info[keys.REF_ENERGY]) - float(known)),
                forces=forces,
                strain_gradient=gradient,
                charge_e=None if charge is None else placed.copies * charge,
                pixels_A=placed.pixels_A,
                periods=placed.periods,
            )
        )
    return sheets


def attach_images(
    sheets: Sequence[Sheet],
    structures: Sequence[Atoms],
    files: Sequence[Mapping[str, Any]],
    potential: Potential,
    shape_of: "ShapeRule",
) -> list[Sheet]:
    """The same sheets with the images that they will be learned from, fixed.

    `files` are contents of HDF5 files (`images.read_images`) for a cnn, whose images have one shape as theirs have;
    without any, and for an ednn, images are made here, each of its cell's shape. Raises InputError for a structure
    without an image, and for images made with other channels, width or size than the network takes.
    """
    config = potential.config
    if not files or config.network != "cnn":
        with torch.no_grad():
            return [
                # Images on sheared pixels are drawn anew for each step, and are the same each time.
                sheet
                if sheet.periods is not None
                else replace(sheet, image=potential.images(collate([sheet]), shape_of(sheet.cell))[0].numpy())
                for sheet in sheets
            ]
    wanted = [config.channels] if isinstance(config.channels, str) else list(config.channels)
    for file in files:
        found = file["attributes"]
        if list(found["channels"]) != wanted or abs(found["sigma_A"] - config.sigma_A) > 1e-9:
            raise InputError(
                f"raster: images of channels {list(found['channels'])}, sigma_A {found['sigma_A']:g};"
                f" the network takes channels {wanted}, sigma_A {config.sigma_A:g}: make the two agree"
            )
    images = {name: image for file in files for name, image in zip(file["ids"], file["images"])}
    result = []
    for sheet, atoms in zip(sheets, structures):
        name = atoms.info[keys.STRUCTURE_ID]
        if name not in images:
            raise InputError(f"{name}: no image of it in the raster stage's files")
        if images[name].shape[1:] != shape_of(sheet.cell):
            raise InputError(
                f"{name}: its image is {images[name].shape[1:]} pixels; the network takes {shape_of(sheet.cell)}:"
                " set raster.pixel_size_A and raster.multiple_px so that they agree"
            )
        result.append(replace(sheet, image=images[name]))
    return result


def group_by_shape(
    sheets: Sequence[Sheet], shapes: Sequence[tuple[int, int]], torus: Torus | None = None
) -> list[Group]:
    """Batches of equal image shape, in order of first appearance; `torus` where all are rotated against one grid."""
    members: dict[tuple[int, int], list[Sheet]] = {}
    for sheet, shape in zip(sheets, shapes):
        members.setdefault(shape, []).append(sheet)
    return [
        Group(
            atoms=collate(group),
            shape=shape,
            energies=torch.tensor([sheet.energy_eV for sheet in group], dtype=torch.float32),
            forces=None
            if group[0].forces is None
            else torch.as_tensor(np.concatenate([sheet.forces for sheet in group]), dtype=torch.float32),
            counts=torch.tensor([float(len(sheet)) for sheet in group]),
            charges=_charges(group),
            strain_gradients=_strain_gradients(group),
            images=None
            if group[0].image is None
            else torch.as_tensor(np.stack([sheet.image for sheet in group]), dtype=torch.float32),
            torus=torus,
            pixels=None
            if torus is None
            else torch.as_tensor(np.stack([sheet.pixels_A for sheet in group]), dtype=torch.float32),
        )
        for shape, group in members.items()
    ]


def _charges(group: Sequence[Sheet]) -> torch.Tensor | None:
    charges = [math.nan if sheet.charge_e is None else sheet.charge_e for sheet in group]
    return None if all(map(math.isnan, charges)) else torch.tensor(charges, dtype=torch.float64)


def _strain_gradients(group: Sequence[Sheet]) -> torch.Tensor | None:
    unknown = np.full((2, 2), math.nan)
    found = [unknown if sheet.strain_gradient is None else sheet.strain_gradient for sheet in group]
    if all(sheet.strain_gradient is None for sheet in group):
        return None
    return torch.as_tensor(np.stack(found), dtype=torch.float32)


def training_batches(
    sheets: Sequence[Sheet],
    batch_size: int,
    augmentation: Augmentation | None,
    shape_of: "ShapeRule",
    rng: np.random.Generator,
    ranks: Ranks | None = None,
    progress: float = 0.0,
) -> Iterator[tuple[list[Group], int, int]]:
    """One epoch in random order: the groups of one optimisation step, and its numbers of structures and atoms.

    With `ranks` the groups hold this rank's share; the numbers are of all. `progress` is the fraction of the training
    that is behind.
    """
    ranks = ranks or Ranks()
    for members in cut_batches(rng.permutation(len(sheets)), kinds_of_cells(sheets), batch_size):
        # Those on sheared grids of their own come last, each by itself.
        members = sorted(members, key=lambda i: sheets[i].periods is not None)
        chosen = [sheets[i] for i in members]
        # Every rank draws for all structures, so that the draws are those of one process.
        if augmentation is not None:
            # Of the whole batch, so that its images can have one shape.
            exchanged = augmentation.transpose and rng.random() < 0.5
            chosen = [augmented(sheet, augmentation, rng, exchanged) for sheet in chosen]
            turning = augmentation.rotation_deg if progress < augmentation.rotate_until else 0.0
            pitch, angle = draw_pitch(augmentation.pitch, rng), draw_angle(turning, rng)
            plain = [sheet for sheet in chosen if sheet.periods is None]
            rotated = None
            if angle and plain and same_cell(plain):
                rotated = rotated_batch(plain, angle, pitch * shape_of.pixel_size_A, shape_of.multiple)
            if rotated is not None:
                plain, torus = rotated
                chosen = [*plain, *chosen[len(plain) :]]
                shapes = [torus.shape] * len(plain)
            else:
                torus, shapes = None, batch_shapes(plain, shape_of, pitch)
        else:
            torus, shapes = None, [shape_of(sheet.cell) for sheet in chosen if sheet.periods is None]
        mine = slice(ranks.rank, None, ranks.size)
        yield groups_of(chosen[mine], shapes[mine], torus), len(chosen), sum(map(len, chosen))


def groups_of(sheets: Sequence[Sheet], shapes: Sequence[tuple[int, int]], torus: Torus | None = None) -> list[Group]:
    """Groups of sheets: those of orthogonal cells, which come first, by their `shapes`; the others one by one."""
    groups = group_by_shape(sheets[: len(shapes)], shapes, torus)
    for sheet in sheets[len(shapes) :]:
        own = torus_of(sheet.periods)
        groups += group_by_shape([sheet], [own.shape], own)
    return groups


def kinds_of_cells(sheets: Sequence[Sheet]) -> list[int]:
    """For each sheet the number of the kind of its cell: that of the first sheet whose cell it is like."""
    firsts: list[np.ndarray] = []
    kinds = []
    for sheet in sheets:
        like = (i for i, cell in enumerate(firsts) if np.abs(sheet.cell / cell - 1.0).max() <= ALIKE)
        kinds.append(next(like, len(firsts)))
        if kinds[-1] == len(firsts):
            firsts.append(sheet.cell)
    return kinds


def cut_batches(order: Sequence[int], kinds: Sequence[int], size: int) -> Iterator[list[int]]:
    """`order` cut into batches of one kind each, as soon as there are enough of it; what is left over comes last.

    As many batches as if there were one kind, whose batches these are. A single sheet of another shape would make its
    batch several pieces, and none of them could be rotated.
    """
    waiting: dict[int, list[int]] = {}
    for i in order:
        batch = waiting.setdefault(kinds[i], [])
        batch.append(i)
        if len(batch) == size:
            yield waiting.pop(kinds[i])
    left = [i for batch in waiting.values() for i in batch]
    for first in range(0, len(left), size):
        yield left[first : first + size]


def same_cell(sheets: Sequence[Sheet]) -> bool:
    """Whether the cells of a batch are so alike that their images can have one shape."""
    cells = np.array([sheet.cell for sheet in sheets])  # (B, 2)
    return bool(np.abs(cells / cells.mean(axis=0) - 1.0).max() <= SAME_CELL)


def batch_shapes(sheets: Sequence[Sheet], shape_of: "ShapeRule", pitch: np.ndarray) -> list[tuple[int, int]]:
    """Image shapes of a training batch, at `pitch` (2,) times the nominal one: one for all if their cells allow it."""
    if sheets and same_cell(sheets):
        return [shape_of(np.mean([sheet.cell for sheet in sheets], axis=0), pitch)] * len(sheets)
    return [shape_of(sheet.cell, pitch) for sheet in sheets]


def evaluation_batches(sheets: Sequence[Sheet], shape_of: "ShapeRule") -> Iterator[Group]:
    """All sheets as they are, at their nominal shapes."""
    for first in range(0, len(sheets), EVALUATION_BATCH):
        chosen = sheets[first : first + EVALUATION_BATCH]
        chosen = sorted(chosen, key=lambda sheet: sheet.periods is not None)
        yield from groups_of(chosen, [shape_of(sheet.cell) for sheet in chosen if sheet.periods is None])


@dataclass(frozen=True)
class ShapeRule:
    """Image shape of a cell: fixed (`image_px`, for a cnn) or by pixel size and multiple."""

    pixel_size_A: float
    multiple: int
    image_px: int | None = None

    def __call__(self, cell: np.ndarray, pitch: np.ndarray | None = None) -> tuple[int, int]:
        """(H, W) for `cell` (2,); with `pitch` (2,), along x and y, on a grid so much coarser than nominal."""
        if self.image_px is not None:
            return self.image_px, self.image_px
        return image_shape(cell if pitch is None else cell / pitch, self.pixel_size_A, self.multiple)
