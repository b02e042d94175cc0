"""What a user would otherwise pick: empirical potentials in LAMMPS and a MACE model. Needs the extra `bench`."""
