"""Empirical potentials of Tersoff's form, evaluated by LAMMPS."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.peers.lammps import Lammps, potential_file

# Files of LAMMPS's own distribution by the method's name, and the elements that they are for. In the second, C-C is
# Lindsay and Broido's of 2010 and B-N, B-C and N-C are Kinaci and others', Phys. Rev. B 86, 115410 (2012).
POTENTIALS = {
    "tersoff": ("SiC_1989.tersoff", ("C",)),
    "tersoff-bnc": ("BNC.tersoff", ("B", "C", "N")),
}


class Tersoff(Lammps):
    """One of POTENTIALS. Its energies are against separate atoms."""

    def __init__(self, method: str) -> None:
        name, elements = POTENTIALS[method]
        file = potential_file(name)
        super().__init__(name, ["pair_style tersoff", f"pair_coeff * * {file} {' '.join(elements)}"], elements)


def reference_energies(structures: Sequence[Atoms], energies_eV: Sequence[float]) -> dict[str, float]:
    """Energy (eV) of each element that brings a potential closest to DFT: least squares on labelled structures.

    A potential's energies are against separate atoms, DFT's against its own; without this the two are not comparable.
    """
    elements = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    counts = np.array([[np.count_nonzero(atoms.symbols == element) for element in elements] for atoms in structures])
    rest = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures]) - np.asarray(energies_eV)
    return dict(zip(elements, np.linalg.lstsq(counts.astype(float), rest, rcond=None)[0].tolist()))
