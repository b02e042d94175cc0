"""Figures: one module per figure, each with a `draw` function from plain data to a `style.Drawing`.

Nothing here imports torch: what a figure needs of images and networks is computed by `extensive.figure_data`
into JSON and NPZ files first, so that a change of a figure's looks costs seconds.
"""
