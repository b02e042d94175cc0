"""The one engine of fast evaluation: a structure or a stream of atoms in, an energy (and forces) out."""

import numpy as np
from ase import Atoms

from extensive.inference.blocks import BlockEngine
from extensive.inference.forces import blockwise_forces
from extensive.inference.sources import AtomsSource
from extensive.inference.stream import stream_energy
from extensive.structures.frame import frame_of as check_sheet


class Engine(BlockEngine):
    """Energies of an EDNN whose tile network is convolutional.

    `dtype` is 'float32', 'bfloat16' (convolutions only: raster, last layer and sums stay float32 and float64)
    or 'float64'; `device` 'cpu' or 'cuda'; `threads` the number of CPU cores used, None for torch's own
    number. Raises InputError for a model that cannot be fused.
    """

    def energy(self, atoms: Atoms) -> float:
        """Energy (eV) of a flat periodic sheet of any size; InputError for what is none, or an unknown
        element.
        """
        check_sheet(atoms)
        lengths = atoms.cell.array
        grid = self.grid((lengths[0, 0], lengths[1, 1]))
        if not grid.whole:
            return stream_energy(self, AtomsSource(atoms)).energy_eV
        return self.direct_energy(atoms)

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy (eV) and forces (N, 3) (eV/Angstrom; zero out of the plane), in memory bounded by a block's."""
        check_sheet(atoms)
        return blockwise_forces(self, atoms)
