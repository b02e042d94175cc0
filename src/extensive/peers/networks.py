"""The configuration's own networks, each as fast as it can be had: energy alone, and energy with forces."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.inference import Engine, RepeatedSource, stream_energy
from extensive.io import read_json
from extensive.models import Potential
from extensive.timing.measure import CELLS_IN_MEMORY, supercell_of_cells

Prepare = Callable[[Atoms, int], Callable[[], object]]  # (cell, copies) to a call that is timed


class Network:
    """An EDNN by its engine, energies in the type that it rounds little in and forces in float32; or a CNN, in float32.

    `sizes` are the numbers of copies of a cell that it may be timed on, None for any, and `left_out` sets of structures
    that are not for it: a CNN takes one size of image. `number_types` are those of the energy alone and with forces.
    """

    def __init__(self, potential: Potential, threads: int) -> None:
        self.fixed = potential.config.network == "cnn"
        self.sizes: tuple[int, ...] | None = (1,) if self.fixed else None
        self.left_out = keys.OTHER_CELLS if self.fixed else ()
        self.number_types = ("float32", "float32")
        self._potential = potential
        if not self.fixed:
            self._fast, self._exact = (Engine(potential, dtype, "cpu", threads) for dtype in ("auto", "float32"))
            self.number_types = self._fast.dtype_name, self._exact.dtype_name

    def energy(self, cell: Atoms, n_cells: int) -> Callable[[], object]:
        """A call for the energy of a supercell, as `extensive sheet` and the scaling figure take it."""
        nx, ny = supercell_of_cells(n_cells)
        if self.fixed:
            atoms = cell.repeat((nx, ny, 1))
            return lambda: self._potential.energies([atoms])
        if n_cells <= CELLS_IN_MEMORY:
            atoms = cell.repeat((nx, ny, 1))
            return lambda: self._fast.energy(atoms)
        return lambda: stream_energy(self._fast, RepeatedSource(cell, nx, ny))

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy (eV) and forces (N, 3) (eV/Angstrom) of a structure."""
        if not self.fixed:
            return self._exact.energy_and_forces(atoms)
        energies, forces = self._potential.energies_and_forces([atoms])
        return float(energies[0]), forces[0]

    def as_timed(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """The same, the energy (eV) in the number type in which it is timed alone: what errors are counted of."""
        energy, forces = self.energy_and_forces(atoms)
        alone, with_forces = self.number_types
        return energy if alone == with_forces else self._fast.energy(atoms), forces


def by_name(paths: Iterable[str], ending: str = "") -> dict[str, str]:
    """Files by what they are of: their names without the suffix and, where they have it, the `ending`."""
    return {Path(path).stem.removesuffix(ending): path for path in paths}


def training_of(description: str | Path) -> dict[str, Any]:
    """Seconds and cores of a network's training, of its last stage where it began with other weights."""
    found = read_json(description)["metadata"]
    return {"seconds": found["seconds"], "cores": found["threads"]}
