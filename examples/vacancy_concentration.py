"""What a vacancy in hBN costs in cells of several sizes, by DFT and by a network.

    OMP_NUM_THREADS=1 python examples/vacancy_concentration.py --model ednn --cells 5x3 10x2 5x6

Energy of the sheet without one atom, less that of the perfect sheet in the same cell (eV): an extensive energy of
finite range is the same in all of them. DFT is the labels', and takes some ten minutes for 120 atoms on one core.
"""

import argparse

from ase import Atoms

from extensive import Calculator
from extensive.config import complete_config
from extensive.keys import REF_ENERGY, SUPERCELL
from extensive.reference.calculation import Labeller, prepare_serial_process
from extensive.reference.settings import DFTSettings
from extensive.structures.lattices import hbn

LATTICE_CONSTANT_A = 2.51


def sheets(supercell: tuple[int, int], element: str) -> tuple[Atoms, Atoms]:
    """A perfect sheet of hBN (4 nx ny atoms), and the same less one atom of `element`."""
    perfect = hbn(supercell, LATTICE_CONSTANT_A)
    perfect.info[SUPERCELL] = list(supercell)  # so that DFT takes the labels' grid and k-points
    first = perfect.get_chemical_symbols().index(element)
    return perfect, perfect[[index for index in range(len(perfect)) if index != first]]


def network_cost(calculator: Calculator, perfect: Atoms, damaged: Atoms) -> float:
    """Cost of the vacancy by a network, eV."""
    return calculator.get_potential_energy(damaged) - calculator.get_potential_energy(perfect)


def dft_cost(labeller: Labeller, perfect: Atoms, damaged: Atoms) -> float:
    """Cost of the vacancy by DFT, eV."""
    return labeller.label(damaged).info[REF_ENERGY] - labeller.label(perfect).info[REF_ENERGY]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ednn", help="path or published name")
    parser.add_argument("--cells", nargs="+", default=["5x3", "10x2", "5x6"], help="4-atom cells along x and y")
    parser.add_argument("--element", choices=["B", "N"], default="B", help="what is missing")
    parser.add_argument("--without-dft", action="store_true", help="the network alone: seconds")
    options = parser.parse_args()
    prepare_serial_process()
    calculator = Calculator(options.model, symmetric=True)
    labeller = Labeller(DFTSettings.from_config(complete_config({"run": "vacancies"})["reference"]["dft"]), reuse=False)
    print(f"cell   atoms  network (eV)  {'' if options.without_dft else 'DFT (eV)'}")
    for cell in options.cells:
        nx, ny = map(int, cell.split("x"))
        perfect, damaged = sheets((nx, ny), options.element)
        line = f"{cell:6} {len(perfect):5}  {network_cost(calculator, perfect, damaged):12.3f}"
        if not options.without_dft:
            line += f"  {dft_cost(labeller, perfect, damaged):8.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
