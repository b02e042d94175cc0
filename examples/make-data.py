"""Data for the two own-data examples, as another code might leave it: `python examples/make-data.py`.

The energies are of a harmonic toy potential, so that the examples take seconds and need no DFT.
"""

import sys
from pathlib import Path

import ase.io
import h5py
import numpy as np
from ase import Atoms

from extensive.images.raster import batch_from_atoms, rasterize_batch
from extensive.structures.lattices import graphene

STIFFNESS = 20.0  # eV/Angstrom^2
ENERGY_PER_ATOM = -9.2  # eV


def labelled_sheet(rng: np.random.Generator, cells: tuple[int, int] = (3, 2)) -> Atoms:
    """Rattled graphene with E = sum over atoms of e + k |u|^2 / 2 and its forces -k u."""
    atoms = graphene(cells)
    displacement = np.zeros((len(atoms), 3))
    displacement[:, :2] = 0.05 * rng.standard_normal((len(atoms), 2))
    atoms.positions += displacement
    atoms.info["REF_energy"] = ENERGY_PER_ATOM * len(atoms) + 0.5 * STIFFNESS * float((displacement**2).sum())
    atoms.arrays["REF_forces"] = -STIFFNESS * displacement
    return atoms


def main(folder: Path, count: int = 24) -> None:
    """Two files of sheets and one of images."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    sheets = [labelled_sheet(rng) for _ in range(count)]
    ase.io.write(folder / "own-1.extxyz", sheets[: count // 2])
    ase.io.write(folder / "own-2.extxyz", sheets[count // 2 :])
    images = rasterize_batch(batch_from_atoms(sheets), (24, 24), "Z", 0.5).numpy()
    with h5py.File(folder / "own-images.h5", "w") as file:
        file["images"], file["energies"] = images, [atoms.info["REF_energy"] for atoms in sheets]
        file["n_atoms"] = [len(atoms) for atoms in sheets]
        file.attrs["energy_unit"] = "eV"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "data"))
