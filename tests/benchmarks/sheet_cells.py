"""Microseconds per atom of the streamed engine: a sheet in a hexagonal cell against one in a rectangle, in pairs.

    python tests/benchmarks/sheet_cells.py --atoms 1000000 --pairs 7

Both are rattled graphene by the published EDNN. The two of a pair run one after the other and change places from pair
to pair, so that what else the machine does meets both; the median of the ratios is the result. On a busy machine take
that of the seconds that the processor spent, which waiting for it does not count.
"""

import argparse
import time

import numpy as np
from ase import Atoms

from extensive.inference import Engine, stream_energy
from extensive.inference.calculator import find_model
from extensive.inference.sources import AtomsSource
from extensive.models import load_model
from extensive.structures.lattices import graphene

DISPLACEMENT_A = 0.05


def rattled(supercell: tuple[int, int], cell: str) -> Atoms:
    atoms = graphene(supercell, cell=cell)
    atoms.positions[:, :2] += DISPLACEMENT_A * np.random.default_rng(0).standard_normal((len(atoms), 2))
    return atoms


def sheets(n_atoms: int) -> dict[str, Atoms]:
    """Nearly square sheets of about so many atoms."""
    side = round((n_atoms / 2) ** 0.5)
    along = round((n_atoms / 4 * 3**0.5) ** 0.5)
    return {
        "rectangular": rattled((along, round(n_atoms / 4 / along)), "rectangular"),
        "hexagonal": rattled((side, side), "hexagonal"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    potential = load_model(find_model("ednn"))
    engine = Engine(potential, arguments.dtype, "cpu", 1)
    sources, grids = {}, {}
    for name, atoms in sheets(arguments.atoms).items():
        begun = time.perf_counter()
        sources[name] = AtomsSource(potential.lay(atoms))
        grids[name] = engine.grid_of(sources[name])
        spent = time.perf_counter() - begun
        print(f"{name}: {len(atoms)} atoms, {grids[name].shape} pixels, laid on its grid in {spent:.1f} s", flush=True)
    clocks = {"elapsed": time.perf_counter, "processor": time.process_time}
    spent = {(name, clock): [] for name in sources for clock in clocks}
    for pair in range(arguments.pairs):
        for name in sorted(sources, reverse=bool(pair % 2)):
            begun = {clock: read() for clock, read in clocks.items()}
            found = stream_energy(engine, sources[name])
            for clock, read in clocks.items():
                spent[name, clock].append(1e6 * (read() - begun[clock]) / found.n_atoms)
    for (name, clock), each in spent.items():
        print(f"{name}, {clock}: median {np.median(each):.3f} us per atom, {min(each):.3f} to {max(each):.3f}")
    for clock in clocks:
        ratios = np.array(spent["hexagonal", clock]) / np.array(spent["rectangular", clock])
        shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"hexagonal / rectangular, {clock}: {shown}; median {np.median(ratios):.3f}")


if __name__ == "__main__":
    main()
