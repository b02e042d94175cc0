"""Porous graphene of any size, made band by band: a sheet of 35 million atoms is never held whole.

The sheet is a lattice of equal blocks, each a piece of graphene with one pore. Which pore a block has, and
how its atoms are displaced, depends on (seed, row of blocks) alone, so that any band of the sheet can be made
by itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.io import digest
from extensive.structures import pores, sampling
from extensive.structures.cells import periodic_offset
from extensive.structures.lattices import (
    LATTICE_CONSTANTS_A,
    bond_cutoff,
    cell_size,
    graphene,
    sheet,
)

# Rectangular 4-atom cells of a block: 14.76 x 17.04 A at a = 2.46 A, about the size of the training cells.
BLOCK_CELLS = (6, 4)
# Equal-area radii (A) of the pores, for each shape in both orientations: the range of the training sheets.
# Their scale is such that 92.2 % of the atoms of pristine graphene remain: 35.2 million on a square
# micrometre (Mills et al., Chem. Sci. 10, 4129 (2019), whose own pores are not known).
PORE_RADII_A = (1.4, 1.7, 2.0, 2.25, 2.45, 2.65, 2.85, 3.0)
# Half a lattice cell either way: a pore's centre falls anywhere between the atoms.
PORE_JITTER_A = (1.23, 2.13)
CARBON = 6
# Displacements are cut off here, in standard deviations, so that no atom leaves its row of blocks.
CUT_OFF = 3.0
LARGEST_DISPLACEMENT_A = 0.15
ROWS_KEPT = 4


@cache
def pore_blocks(lattice_constant: float) -> list[np.ndarray]:
    """Positions (N, 2) in A of the blocks that sheets are made of: every shape with every radius, placed
    off-centre.
    """
    rng = np.random.default_rng(0)
    block = graphene(BLOCK_CELLS, lattice_constant)
    cell = block.cell.lengths()[:2]
    variants = []
    for shape in pores.SHAPES:
        for radius, rotated in product(PORE_RADII_A, (False, True)):
            centre = cell / 2 + rng.uniform(-1, 1, size=2) * PORE_JITTER_A
            offset = periodic_offset(block.positions[:, :2], centre, np.diag(cell))
            inside = pores.inside_pore(shape, offset, radius, rotated)
            # Block edges are never cut, so pruning one periodic block is pruning the whole sheet.
            variants.append(pores.prune(block[~inside], bond_cutoff(lattice_constant)).positions[:, :2].copy())
    return variants


@dataclass(frozen=True)
class PorousSheet:
    """A porous graphene sheet of `blocks` (along x, along y) blocks, periodic in both directions; all carbon.

    `displacement_A` is the standard deviation of each coordinate's Gaussian displacement (cut off at three).
    The same fields give the same atoms to the bit, whatever the order in which bands are asked for.
    Attributes: cell (Lx, Ly) A, fingerprint, n_atoms, area_A2, density (fraction of the atoms of pristine
    graphene). Raises InputError for fewer than one block or displacements above 0.15 A.
    """

    blocks: tuple[int, int]
    seed: int = 0
    displacement_A: float = 0.0
    lattice_constant: float = LATTICE_CONSTANTS_A["graphene"]
    axes = None  # its pixels lie along x and y; see inference.sources

    def __post_init__(self) -> None:
        if len(self.blocks) != 2 or min(self.blocks) < 1:
            raise InputError(f"blocks: {self.blocks} should be two whole numbers of at least 1")
        if not 0 <= self.displacement_A <= LARGEST_DISPLACEMENT_A:
            raise InputError(f"displacement_A: {self.displacement_A} should be 0 to {LARGEST_DISPLACEMENT_A}")

    @cached_property
    def _block_cell(self) -> np.ndarray:
        return cell_size(BLOCK_CELLS, self.lattice_constant)

    @property
    def cell(self) -> tuple[float, float]:
        """Edges (Lx, Ly) in A."""
        return tuple(float(edge) for edge in self._block_cell * self.blocks)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what determines the atoms."""
        tables, sizes, _ = self._tables
        return digest(
            [
                *self.blocks,
                self.seed,
                self.displacement_A,
                self.lattice_constant,
                sizes.tolist(),
                float(tables.sum()),
            ]
        )

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Atoms of all kinds of block one after the other (M, 2), their numbers of atoms, where each
        starts.
        """
        variants = pore_blocks(self.lattice_constant)
        sizes = np.array([len(variant) for variant in variants])
        return np.concatenate(variants), sizes, np.cumsum(sizes) - sizes

    @cached_property
    def _rows(self) -> OrderedDict[int, np.ndarray]:
        # Bands are thinner than rows or overlap, so the last few rows are asked for again.
        return OrderedDict()

    def _kinds(self, row: int) -> tuple[np.ndarray, np.random.Generator]:
        """Kind of each block of a row, and the row's random stream after drawing them."""
        rng = sampling.stream(self.seed, "porous-sheet", row)
        return rng.integers(len(self._tables[1]), size=self.blocks[0]), rng

    def _row(self, row: int) -> np.ndarray:
        """Positions (N, 2) of a row of blocks, 0 <= x < Lx; y within the row."""
        if row in self._rows:
            self._rows.move_to_end(row)
            return self._rows[row]
        tables, sizes, starts = self._tables
        kinds, rng = self._kinds(row)
        counts = sizes[kinds]
        before = np.cumsum(counts) - counts
        total = int(counts.sum())
        positions = tables.take(np.arange(total) + np.repeat(starts[kinds] - before, counts), axis=0)
        positions[:, 0] += np.repeat(np.arange(self.blocks[0]) * self._block_cell[0], counts)
        positions[:, 1] += row * self._block_cell[1]
        if self.displacement_A:
            shift = rng.standard_normal((total, 2), dtype=np.float32)
            np.minimum(shift, CUT_OFF, out=shift)
            np.maximum(shift, -CUT_OFF, out=shift)
            shift *= np.float32(self.displacement_A)
            positions += shift
            # Only atoms of the first and last block can have left the cell, and only in x.
            for end in (slice(0, counts[0]), slice(total - counts[-1], total)):
                x = positions[end, 0]
                x[x < 0.0] += self.cell[0]
                x[x >= self.cell[0]] -= self.cell[0]
        self._rows[row] = positions
        while len(self._rows) > ROWS_KEPT:
            self._rows.popitem(last=False)
        return positions

    @cached_property
    def n_atoms(self) -> int:
        """Number of atoms, found without making them."""
        sizes = self._tables[1]
        return int(sum(sizes[self._kinds(row)[0]].sum() for row in range(self.blocks[1])))

    @property
    def area_A2(self) -> float:
        """Area of the cell."""
        return float(np.prod(self.cell))

    @property
    def density(self) -> float:
        """Number of atoms over that of pristine graphene in the same cell."""
        return self.n_atoms / (4 * np.prod(BLOCK_CELLS) * np.prod(self.blocks))

    def atoms_between(self, y_low: float, y_high: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) A with 0 <= x < Lx and y_low <= y < y_high, and atomic numbers (N,) uint8.

        y may lie outside [0, Ly): periodic images come at their shifted y. Bands that tile [0, Ly) hold every
        atom of the sheet exactly once.
        """
        height, count = self._block_cell[1], self.blocks[1]
        parts = [np.empty((0, 2))]
        # One row more on either side: rounding in the division must not lose an atom at a row's edge.
        for row in range(int(np.floor(y_low / height)) - 1, int(np.ceil(y_high / height)) + 1):
            image, wrapped = divmod(row, count)
            if (row + 1) * height <= y_low - 1e-6 or row * height >= y_high + 1e-6:
                continue
            positions = self._row(wrapped)
            if image:
                positions = positions + (0.0, image * self.cell[1])
            if row * height < y_low or (row + 1) * height > y_high:
                y = np.ascontiguousarray(positions[:, 1])
                positions = positions.take(np.flatnonzero((y >= y_low) & (y < y_high)), axis=0)
            parts.append(positions)
        positions = np.concatenate(parts)
        return positions, np.full(len(positions), CARBON, dtype=np.uint8)

    def whole(self) -> Atoms:
        """All atoms, for sheets that fit in memory; for looking at them, for DFT and for tests."""
        positions, numbers = self.atoms_between(0.0, self.cell[1])
        return sheet(positions, numbers, np.diag(self.cell))


def square_micrometre_sheet(seed: int = 0, displacement_A: float = 0.05) -> PorousSheet:
    """The papers' largest system: at least 35.2 million atoms over 1.0 square micrometre, in whole blocks."""
    block = cell_size(BLOCK_CELLS, LATTICE_CONSTANTS_A["graphene"])
    return PorousSheet(tuple(int(n) for n in np.ceil(1e4 / block)), seed, displacement_A)
