"""What a user would otherwise pick: potentials in LAMMPS and MACE, timed and judged as networks are.

Labels and weights go in, tables come out. Needs the extra `bench`; only `snakemake peers` uses it.
"""
