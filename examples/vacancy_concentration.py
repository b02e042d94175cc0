"""What a vacancy in hBN or a pore in graphene costs in cells of several sizes, by DFT and by a network.

    OMP_NUM_THREADS=1 python examples/vacancy_concentration.py --model ednn --cells 5x3 10x2 5x6
    OMP_NUM_THREADS=1 python examples/vacancy_concentration.py --model ednn --cells 5x3 10x3 5x6 --pore 1.6

Energy of the sheet without one atom, less that of the perfect sheet in the same cell; of graphene without the atoms
within a radius of the middle of a hexagon, less that of as many atoms of perfect graphene (eV): an extensive energy of
finite range is the same in all of them. DFT is the labels', and takes some ten minutes for 120 atoms on one core.
"""

import argparse
from collections.abc import Callable

import numpy as np
from ase import Atoms

from extensive import Calculator
from extensive.config import complete_config
from extensive.keys import REF_ENERGY, SUPERCELL
from extensive.reference.calculation import Labeller
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.settings import DFTSettings
from extensive.structures.lattices import graphene, hbn

LATTICE_CONSTANT_A = 2.51


def sheets(supercell: tuple[int, int], element: str) -> tuple[Atoms, Atoms]:
    """A perfect sheet of hBN (4 nx ny atoms), and the same less one atom of `element`."""
    perfect = hbn(supercell, LATTICE_CONSTANT_A)
    perfect.info[SUPERCELL] = list(supercell)  # so that DFT takes the labels' grid and k-points
    first = perfect.get_chemical_symbols().index(element)
    return perfect, perfect[[index for index in range(len(perfect)) if index != first]]


def pores(supercell: tuple[int, int], radius_A: float) -> tuple[Atoms, Atoms]:
    """A perfect sheet of graphene (4 nx ny atoms), and the same less the atoms of a pore."""
    perfect = graphene(supercell)
    perfect.info[SUPERCELL] = list(supercell)
    others = range(len(perfect))
    distances = perfect.get_distances(0, others, mic=True)
    # Halfway to the atom on the other side of a hexagon is its middle.
    opposite = int(np.argmin(np.abs(distances - 2.0 * distances[1:].min())))
    middle = perfect.positions[0] + perfect.get_distance(0, opposite, mic=True, vector=True) / 2.0
    marked = perfect + Atoms("X", positions=[middle])
    return perfect, perfect[marked.get_distances(len(perfect), others, mic=True) > radius_A]


def cost(energy: Callable[[Atoms], float], perfect: Atoms, damaged: Atoms) -> float:
    """Cost of what is missing (eV): of one element, beside as many atoms of the perfect sheet."""
    alike = len(set(perfect.numbers)) == 1
    return energy(damaged) - energy(perfect) * (len(damaged) / len(perfect) if alike else 1.0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ednn", help="path or published name")
    parser.add_argument("--cells", nargs="+", default=["5x3", "10x2", "5x6"], help="4-atom cells along x and y")
    parser.add_argument("--element", choices=["B", "N"], default="B", help="what is missing in hBN")
    parser.add_argument("--pore", type=float, help="radius of a pore in graphene instead (Angstrom)")
    parser.add_argument("--without-dft", action="store_true", help="the network alone: seconds")
    options = parser.parse_args()
    prepare_serial_process()
    calculator = Calculator(options.model, symmetric=True)
    labeller = Labeller(DFTSettings.from_config(complete_config({"run": "vacancies"})["reference"]["dft"]), reuse=False)
    print(f"cell   atoms  network (eV)  {'' if options.without_dft else 'DFT (eV)'}")
    for cell in options.cells:
        nx, ny = map(int, cell.split("x"))
        perfect, damaged = sheets((nx, ny), options.element) if options.pore is None else pores((nx, ny), options.pore)
        line = f"{cell:6} {len(perfect):5}  {cost(calculator.get_potential_energy, perfect, damaged):12.3f}"
        if not options.without_dft:
            line += f"  {cost(lambda atoms: labeller.label(atoms).info[REF_ENERGY], perfect, damaged):8.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
