"""Timing: a configuration and weights go in, seconds against system size with a record of the hardware come out.

Times both DFT and networks, so it uses reference, inference and models; used by peers and the command line.
"""
