"""Reference energies and forces: GPAW for sheets, Lennard-Jones for dimers, and the archive of labels.

GPAW is imported here alone, and only when a calculation starts.
"""
