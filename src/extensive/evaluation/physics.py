"""Quantities of graphene and hBN that a reader can look up, from energies of a method and beside published ones.

With e the energy per atom of a perfect crystal and E that of a relaxed cell,

    vacancy, pore, Stone-Wales:  E - N e(graphene),
    a boron and a nitrogen vacancy, far apart:  E(B missing) + E(N missing) - N e(hBN),
    zigzag interface:  [E - N_C e(graphene) - N_BN e(hBN)] / (2 L), one edge with boron and one with nitrogen, L long,

where N counts all atoms of the cells and e of the interface is of crystals strained as they are in it. The pair of
vacancies needs no energy of an atom that went elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms

from extensive.reference.record import record_of
from extensive.structures.physics import CELLS, CRYSTALS, INTERFACE, STRAINS

COLUMNS = ("quantity", "unit", "dft", "network", "published_low", "published_high", "source")
CELLS_COLUMNS = ("crystal", "cell", "n_atoms", "kpoints", "dft_meV_per_atom", "network_meV_per_atom")
DEGREE = 3  # of the polynomial that the scan of a lattice constant is fitted with; its minimum is a formula


class Published(NamedTuple):
    """What others have found by DFT, of whatever functional, as a range, and where that is written."""

    low: float
    high: float
    source: str


class Quantity(NamedTuple):
    """A row of the table."""

    name: str
    unit: str
    published: Published | None


QUANTITIES = {
    "graphene-lattice": Quantity(
        "lattice constant of graphene",
        "A",
        Published(
            2.465, 2.467, "2DMatPedia 2dm-3993; Lee et al., Phys. Rev. B 102, 075143 (2020), table I (PBE, LCAO)"
        ),
    ),
    "hbn-lattice": Quantity("lattice constant of hBN", "A", Published(2.509, 2.509, "2DMatPedia 2dm-4991")),
    "graphene-vacancy": Quantity(
        "vacancy in graphene",
        "eV",
        Published(
            7.54,
            7.8,
            "Srivastava and Sen, J. Phys.: Condens. Matter 25, 025304 (2013) (PBE, spin-polarised, carbon domain);"
            " Zhang et al., Phys. Rev. B 81, 125425 (2010) (GGA)",
        ),
    ),
    "stone-wales": Quantity(
        "Stone-Wales defect in graphene",
        "eV",
        Published(
            5.0, 5.0, "about 5: Ma et al., Phys. Rev. B 80, 033407 (2009), as quoted by Srivastava and Sen (2013)"
        ),
    ),
    "pore": Quantity("pore of one ring in graphene", "eV", None),
    "vacancy-pair": Quantity("a boron and a nitrogen vacancy in hBN", "eV", None),
    INTERFACE: Quantity("zigzag interface of graphene and hBN", "eV/A", None),
}

Energies = Mapping[str, Sequence[tuple[Atoms, float]]]


def lattice_constant(scan: Sequence[tuple[Atoms, float]], unstrained_A: float) -> float:
    """Lattice constant (A) of least energy, by a cubic through the energies (eV) of a scan of STRAINS.

    Energies that are not known (NaN) are left out; NaN where too few are left.
    """
    energies = np.array([_per_atom(member) for member in scan])
    known = np.isfinite(energies)
    if known.sum() <= DEGREE:
        return float("nan")
    cubic = np.polynomial.Polynomial.fit(np.array(STRAINS)[known], energies[known], DEGREE)
    # Where the slope is zero and rises, in the form that stays exact when the cubic term vanishes.
    _, linear, square, third = cubic.convert().coef
    return unstrained_A * (1.0 - linear / (square + np.sqrt(square**2 - 3.0 * linear * third)))


def quantities(energies: Energies, lattice_constants: Mapping[str, float]) -> dict[str, float]:
    """Values by name (QUANTITIES) from the sheets of `structures.physics`, relaxed, with their energies (eV).

    NaN for what follows from an energy that is NaN: of a sheet that a network does not know.
    """
    at_rest = STRAINS.index(0.0)
    crystal = {kind: _per_atom(energies[f"{kind}-lattice"][at_rest]) for kind in ("graphene", "hbn")}
    strained = {kind: _per_atom(energies[f"{kind}-coherent"][0]) for kind in ("graphene", "hbn")}
    found = {
        f"{kind}-lattice": lattice_constant(energies[f"{kind}-lattice"], lattice_constants[kind])
        for kind in ("graphene", "hbn")
    }
    for name in ("graphene-vacancy", "stone-wales", "pore"):
        ((atoms, energy),) = energies[name]
        found[name] = energy - len(atoms) * crystal["graphene"]
    pair = [energies[f"{element}-vacancy"][0] for element in ("boron", "nitrogen")]
    found["vacancy-pair"] = sum(energy - len(atoms) * crystal["hbn"] for atoms, energy in pair)
    ((atoms, energy),) = energies[INTERFACE]
    carbon = int(np.sum(atoms.numbers == 6))
    excess = energy - carbon * strained["graphene"] - (len(atoms) - carbon) * strained["hbn"]
    found[INTERFACE] = excess / (2.0 * atoms.cell.lengths()[0])
    return found


def _per_atom(member: tuple[Atoms, float]) -> float:
    atoms, energy = member
    return energy / len(atoms)


def table(dft: Energies, network: Energies, lattice_constants: Mapping[str, float]) -> pd.DataFrame:
    """One row (COLUMNS) for each quantity."""
    values = [quantities(energies, lattice_constants) for energies in (dft, network)]
    rows = []
    for key, quantity in QUANTITIES.items():
        low, high, source = quantity.published or (None, None, "")
        rows.append((quantity.name, quantity.unit, *(value[key] for value in values), low, high, source))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cells_table(dft: Energies, network: Energies) -> pd.DataFrame:
    """One row (CELLS_COLUMNS) for each cell of each crystal: energies per atom less those of the first cell.

    The largest of CELLS may be left out.
    """
    rows = []
    for name in CRYSTALS:
        first = [_per_atom(energies[name][0]) for energies in (dft, network)]
        for (cell, size), labelled, predicted in zip(CELLS, dft[name], network[name], strict=False):
            shape = cell if isinstance(cell, str) else "chiral " + " ".join(map(str, cell["chiral"]))
            less = [1000.0 * (_per_atom(member) - reference) for member, reference in zip((labelled, predicted), first)]
            kpoints = record_of(labelled[0])["kpoints_irreducible"]
            rows.append((name.removesuffix("-cells"), f"{shape} {size[0]}x{size[1]}", len(labelled[0]), kpoints, *less))
    return pd.DataFrame(rows, columns=list(CELLS_COLUMNS))
