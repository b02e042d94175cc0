"""Figures: tables and small files of numbers go in, a PDF, a PNG and a CSV of each figure come out.

One module for each figure, each with a `draw` function from plain data to a `style.Drawing`. Nothing that draws
imports PyTorch: what a figure needs of images and networks is computed by `network_data` into JSON and NPZ files
first, so that a change of a figure's looks costs seconds. Only the workflow uses this room.
"""
