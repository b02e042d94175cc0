"""Images: structures go in, images (tensors, or HDF5 files with energies beside them) come out.

`raster` alone knows the image formula, `oblique` the grids that are sheared with the cell, `files` the HDF5 format.
Used by models and all that is built on them; needs PyTorch, and no other room than structures.
"""
