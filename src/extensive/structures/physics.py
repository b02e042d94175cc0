"""Sheets whose energies make quantities that a reader can look up: lattice constants, defects, an interface.

`systems` has them by name, each a list. Energies per atom of the perfect crystals are those of cells of four atoms:
cells of all sizes sample the same states, which the crystals in cells of all shapes are to show. Defects and the
interface are to be relaxed at the cell that they have.
"""

import math

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.structures import defects, lattices, pores
from extensive.structures.cells import RECTANGULAR, Cell, atoms_in
from extensive.structures.lattices import bond_cutoff

# Rectangular cells of four atoms along x and y that hold a defect or the interface.
SUPERCELL = (5, 3)
# Strains of the scan that a lattice constant is fitted to.
STRAINS = (-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03)
# Takes one ring of six atoms: the smallest pore whose edge has no atom of one bond.
PORE_RADIUS_A = 1.6
# Starts are moved by so much at random, so that a symmetric start does not stay what no minimum is.
MOVED_A = 0.03
# Cells of all shapes and sizes that one crystal is described in; the largest, which needs most memory, last.
CELLS: tuple[tuple[Cell, tuple[int, int]], ...] = (
    (RECTANGULAR, (5, 3)),
    ("hexagonal", (5, 5)),
    ({"chiral": [2, 1]}, (2, 2)),
    (RECTANGULAR, (10, 3)),
    (RECTANGULAR, (10, 6)),
    (RECTANGULAR, (15, 6)),
)
CRYSTALS = ("graphene-cells", "hbn-cells")
SCANS = ("graphene-lattice", "hbn-lattice")
COHERENT = ("graphene-coherent", "hbn-coherent")
DEFECTS = ("graphene-vacancy", "stone-wales", "pore", "boron-vacancy", "nitrogen-vacancy")
INTERFACE = "zigzag-interface"
RELAXED = (*DEFECTS, INTERFACE)
NETWORK_ENERGY = "network_energy"  # eV
SYSTEMS = (*SCANS, *COHERENT, *RELAXED, *CRYSTALS)


def cells_of(most_atoms: float = math.inf) -> list[tuple[Cell, tuple[int, int]]]:
    """Those of CELLS that have so many atoms at most."""
    return [(cell, size) for cell, size in CELLS if atoms_in(size, cell) <= most_atoms]


def systems(lattice_constants: dict[str, float], seed: int = 0, most_atoms: float = math.inf) -> dict[str, list[Atoms]]:
    """All sheets by name (SYSTEMS), without labels; `lattice_constants` (A) of graphene and hbn.

    Crystals in cells of more than `most_atoms` are left out.
    """
    cells = cells_of(most_atoms)
    graphene, hbn = lattice_constants["graphene"], lattice_constants["hbn"]
    mean = (graphene + hbn) / 2
    found = {
        "graphene-lattice": [lattices.graphene((1, 1), graphene * (1 + strain)) for strain in STRAINS],
        "hbn-lattice": [lattices.hbn((1, 1), hbn * (1 + strain)) for strain in STRAINS],
        "graphene-coherent": [lattices.graphene((1, 1), mean)],
        "hbn-coherent": [lattices.hbn((1, 1), mean)],
        "graphene-cells": [lattices.laid_along_x(lattices.graphene(size, graphene, cell)) for cell, size in cells],
        "hbn-cells": [lattices.laid_along_x(lattices.hbn(size, hbn, cell)) for cell, size in cells],
    }
    rng = np.random.default_rng(seed)
    sheet, other = lattices.graphene(SUPERCELL, graphene), lattices.hbn(SUPERCELL, hbn)
    starts = {
        "graphene-vacancy": _without(sheet, len(sheet) // 2),
        "stone-wales": defects.stone_wales(sheet, graphene, rng),
        "pore": _smallest_pore(sheet, graphene),
        "boron-vacancy": _without(other, int(np.flatnonzero(other.numbers == 5)[len(other) // 4])),
        "nitrogen-vacancy": _without(other, int(np.flatnonzero(other.numbers == 7)[len(other) // 4])),
        INTERFACE: _striped(mean),
    }
    for name, start in starts.items():
        start.positions[:, :2] += rng.normal(scale=MOVED_A, size=(len(start), 2))
        found[name] = [start]
    for name, members in found.items():
        for index, atoms in enumerate(members):
            supercell = cells[index][1] if name in CRYSTALS else largest(name)
            atoms.positions = np.round(atoms.positions, 6)
            atoms.info = {
                keys.STRUCTURE_ID: f"physics-{name}-{index}",
                keys.DATASET: "physics",
                keys.FAMILY: name,
                keys.SAMPLER: "relaxed" if name in RELAXED else "pristine",
                keys.PARENT: f"physics-{name}",
                keys.SUPERCELL: np.array(supercell),
            }
    return {name: found[name] for name in SYSTEMS}


def largest(name: str, most_atoms: float = math.inf) -> tuple[int, int]:
    """The supercell with the most atoms among the sheets of one system, as `systems` has it."""
    if name in (*SCANS, *COHERENT):
        return (1, 1)
    return cells_of(most_atoms)[-1][1] if name in CRYSTALS else SUPERCELL


def system_of(atoms: Atoms) -> str:
    """Name of the system that one of these sheets is of, or a step of its relaxation."""
    return str(atoms.info[keys.FAMILY])


def _without(atoms: Atoms, index: int) -> Atoms:
    return atoms[np.arange(len(atoms)) != index]


def _smallest_pore(sheet: Atoms, lattice_constant: float) -> Atoms:
    """The sheet without one ring of six atoms."""
    # Centres of rings lie one bond from an atom, on the side where it has no neighbour.
    i, _, vectors = lattices.bonds(sheet, bond_cutoff(lattice_constant))
    centre = sheet.positions[0, :2] - vectors[i == 0][0]
    offset = pores.periodic_offset(sheet.positions[:, :2], centre, lattices.plane(sheet))
    return pores.prune(sheet[np.linalg.norm(offset, axis=1) > PORE_RADIUS_A], bond_cutoff(lattice_constant))


def _striped(lattice_constant: float) -> Atoms:
    """Half graphene, half hBN, edges along the zigzag rows: one of carbon and boron, one of carbon and nitrogen."""
    positions, sublattice, vectors = lattices.honeycomb(SUPERCELL, lattice_constant)
    lower = positions[:, 1] < np.median(positions[:, 1])
    return lattices.sheet(positions, np.where(lower, 6, np.where(sublattice == 0, 5, 7)), vectors)
