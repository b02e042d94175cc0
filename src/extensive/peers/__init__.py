"""What a user would otherwise pick: empirical potentials in LAMMPS and a MACE model, timed and judged as networks are.

Labels and weights go in, tables come out. Needs the extra `bench`; only `snakemake peers` uses it.
"""
