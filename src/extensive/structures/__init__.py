"""Structures: a configuration's entries go in, flat sheets, dimers and Ising lattices come out, without labels.

Users' own files come in here too (`user_files`), named and checked. `bonds` and `frame` are what every stage asks of
a sheet. No PyTorch and no GPAW; used by all rooms after it.
"""
