"""Label dimers with the Lennard-Jones potential."""

from extensive.io import read_structures, write_structures
from extensive.reference.lennard_jones import label_dimer
from logged import logged

with logged(snakemake):
    potential = snakemake.params.potential
    dimers = read_structures(snakemake.input.structures)
    labelled = [label_dimer(atoms, potential["epsilon_eV"], potential["sigma_A"]) for atoms in dimers]
    write_structures(snakemake.output[0], labelled)
