"""Label dimers with the Lennard-Jones potential."""

import sys

from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.reference.lennard_jones import label_dimer

sys.stderr = open(snakemake.log[0], "w", buffering=1)  # noqa: SIM115 - for as long as the script runs
potential = snakemake.params.potential
try:
    dimers = read_structures(snakemake.input.structures)
    labelled = [label_dimer(atoms, potential["epsilon_eV"], potential["sigma_A"]) for atoms in dimers]
    write_structures(snakemake.output[0], labelled)
except InputError as error:
    sys.exit(f"label: {error}")
