"""Evaluation: networks and labelled structures go in, tables of predictions, errors, studies and claims come out.

`predict` asks a network; `tables`, `claims`, `studies`, `software` and `publish` read files only and need no PyTorch.
Used by timing's comparisons, figures, peers and the command line.
"""
