"""How far the two edges of a stripe of hBN in graphene see each other, by DFT and by a network.

    OMP_NUM_THREADS=1 python examples/stripe_edges.py --model ednn --rows 12 24 36
    OMP_NUM_THREADS=1 python examples/stripe_edges.py --model ednn --rows 24 --hbn 5

A stripe along x of n rows of atoms has two edges, each of boron or of nitrogen, cut through the bonds along y or the
others. Stripes of odd n have two edges of one element, those of even n one of each. Of such stripes,

    E(n, both B) + E(n, both N) - E(n - 1, one of each, bonds along y) - E(n + 1, one of each, the others),

averaged with the same of n - 1 and n + 1 exchanged, has every kind of edge, every row of hBN and every row of carbon as
often with a minus as with a plus: what is left is what edges know of each other, and is nothing to a network that does
not see both at once. Half of the rows are carbon, unless `--hbn` says otherwise, so that edges are as far apart on
either side. DFT is the labels', and takes two minutes for 24 rows.
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
from extensive.structures.lattices import graphene

ROWS_PER_CELL = 4
# A network's energies are of as many cells along x as its training sheets have.
CELLS_ALONG_X = 5


def stripe(rows: int, first: int, count: int) -> Atoms:
    """One cell of graphene along x with `rows` rows of atoms, `count` of them, from `first` on, boron and nitrogen."""
    sheet = graphene((1, rows // ROWS_PER_CELL))
    sheet.info[SUPERCELL] = [1, rows // ROWS_PER_CELL]  # so that DFT takes the labels' grid and k-points
    heights = sheet.positions[:, 1]
    symbols = np.full(len(sheet), "C")
    for number, index in enumerate(np.argsort(heights)):
        if first <= number < first + count:
            symbols[index] = "BN"[number % 2]
    sheet.set_chemical_symbols(symbols)
    return sheet


def edge_interaction(energy: Callable[[Atoms], float], rows: int, hbn: int | None = None) -> float:
    """The difference above, in eV for one cell along x, of stripes of `hbn` (odd; None: half) of `rows` rows."""
    n = hbn or rows // 2 - 1
    alike = [stripe(rows, first, n) for first in (0, 1)]
    mixed = [stripe(rows, first, count) for first in (0, 1) for count in (n - 1, n + 1)]
    return sum(map(energy, alike)) - sum(map(energy, mixed)) / 2


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["ednn"], help="paths or published names")
    parser.add_argument("--rows", nargs="+", type=int, default=[12, 24, 36], help="rows of atoms, multiples of 4")
    parser.add_argument(
        "--hbn", type=int, help="how many of them are hBN, an odd number; one less than half if not said"
    )
    parser.add_argument("--without-dft", action="store_true", help="the networks alone: seconds")
    options = parser.parse_args()
    if options.hbn is not None and not (options.hbn % 2 and 1 < options.hbn < min(options.rows) - 1):
        parser.error(f"--hbn {options.hbn}: an odd number of at least 3, with at least 2 rows of carbon beside it")
    prepare_serial_process()
    energies = {}
    for name in options.model:
        calculator = Calculator(name, symmetric=True, extrapolate=True)
        energies[name] = lambda sheet, c=calculator: (
            c.get_potential_energy(sheet * (CELLS_ALONG_X, 1, 1)) / CELLS_ALONG_X
        )
    if not options.without_dft:
        labeller = Labeller(
            DFTSettings.from_config(complete_config({"run": "stripes"})["reference"]["dft"]), reuse=False
        )
        energies["DFT"] = lambda sheet: labeller.label(sheet).info[REF_ENERGY]
    print("interaction of the edges (eV for one cell along x)")
    print("rows  distance (A)" + "".join(f"  {name:>12}" for name in energies))
    for rows in options.rows:
        distance = stripe(rows, 0, 0).cell.lengths()[1] / rows * (options.hbn + 1 if options.hbn else rows // 2)
        print(f"{rows:4}  {distance:12.1f}", end="", flush=True)
        for energy in energies.values():
            print(f"  {edge_interaction(energy, rows, options.hbn):12.4f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
