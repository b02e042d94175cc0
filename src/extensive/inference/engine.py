"""The one engine of fast evaluation: a structure or a stream of atoms in, an energy (and forces) out."""

import numpy as np
from ase import Atoms

from extensive.images.placement import Placed
from extensive.inference.blocks import BlockEngine
from extensive.inference.forces import blockwise_forces
from extensive.inference.sources import AtomsSource
from extensive.inference.stream import stream_energy


class Engine(BlockEngine):
    """Energies of an EDNN whose tile network is convolutional.

    `dtype` is 'float32', 'float64', 'bfloat16' (the 3x3 layers of blocks only: all else stays float32, and sums
    float64), or 'auto', which `number_types` turns into one of these: `dtype_name`, and `why`. `device` is 'cpu' or
    'cuda', `threads` the number of CPU cores used, None for torch's own number. Raises InputError for a model that
    cannot be fused.
    """

    def energy(self, atoms: Atoms | Placed) -> float:
        """Energy (eV) of a flat periodic sheet of any size, or of one that the potential has laid on its grid.

        Raises InputError for what is none, or an unknown element.
        """
        placed = self.laid(atoms)[1]
        source = AtomsSource(placed)
        grid = self.grid_of(source)
        if not grid.whole:
            return stream_energy(self, source).energy_eV / placed.copies
        return self.energy_in_one_piece(placed, source, grid)

    def energy_and_forces(self, atoms: Atoms | Placed) -> tuple[float, np.ndarray]:
        """Energy (eV) and forces (N, 3) (eV/Angstrom; zero out of the plane), in memory bounded by a block's.

        Forces are in the user's axes; of a sheet that is laid already, in those of its grid's plane.
        """
        return blockwise_forces(self, atoms)
