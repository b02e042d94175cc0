"""Sheets of the physics table, relaxed by a network, with its energies."""

import numpy as np
from ase.optimize import BFGS

from extensive.errors import InputError
from extensive.inference.calculator import Calculator
from extensive.io import write_structures
from extensive.structures import physics
from logged import logged

with logged(snakemake):
    calculator = Calculator(snakemake.params.model)
    found = []
    params = snakemake.params
    for name, members in physics.systems(params.lattice_constants, most_atoms=params.most_atoms).items():
        for atoms in members:
            # Cells of four atoms are laid out as large as the others, on the same pixels.
            copies = int(np.prod(physics.SUPERCELL)) if name in (*physics.SCANS, *physics.COHERENT) else 1
            laid = atoms.repeat((*physics.SUPERCELL, 1)) if copies > 1 else atoms.copy()
            laid.calc = calculator
            found.append(atoms)
            try:
                if name in physics.RELAXED:
                    with BFGS(laid, logfile=None) as optimizer:
                        if not optimizer.run(fmax=snakemake.params.largest_force, steps=500):
                            print(f"{name}: not relaxed by the network after 500 steps")
                    atoms.positions = np.round(laid.positions, 6)
                atoms.info[physics.NETWORK_ENERGY] = laid.get_potential_energy() / copies
            except InputError as error:
                # Ends of a scan may lie beyond the strains that it has learned. DFT takes such a sheet as it was made.
                print(f"without an energy of the network: {error}")
    write_structures(snakemake.output[0], found)
