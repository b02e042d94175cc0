"""Table of quantities that a reader can look up: by DFT, by a network, and published."""

import numpy as np

from extensive import keys
from extensive.evaluation.physics import cells_table, table
from extensive.io import atomic_path, read_structures
from extensive.structures import physics
from logged import logged

with logged(snakemake):
    dft: dict[str, list] = {}
    for path in snakemake.input.labelled:
        labelled = read_structures(path)
        name = physics.system_of(labelled[0])
        # Of a relaxation, the last step.
        kept = labelled[-1:] if name in physics.RELAXED else labelled
        dft[name] = [(atoms, atoms.info[keys.REF_ENERGY]) for atoms in kept]
    network: dict[str, list] = {}
    for atoms in read_structures(snakemake.input.network):
        network.setdefault(physics.system_of(atoms), []).append((atoms, atoms.info.get(physics.NETWORK_ENERGY, np.nan)))
    rows = table(dft, network, snakemake.params.lattice_constants)
    with atomic_path(snakemake.output.physics) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g")
    with atomic_path(snakemake.output.cells) as temporary:
        cells_table(dft, network).to_csv(temporary, index=False, float_format="%.6g")
