"""Timing of DFT and networks against system size, with the hardware on record."""
