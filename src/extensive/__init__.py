"""The energy of any sheet of atoms, at DFT accuracy, at the price of an image."""

__version__ = "0.1.0"
