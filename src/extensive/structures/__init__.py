"""Structures: flat sheets of graphene, hBN and their relatives, dimers and Ising lattices. No torch, no
GPAW.
"""

from extensive.structures.datasets import generate_dataset

__all__ = ["generate_dataset"]
