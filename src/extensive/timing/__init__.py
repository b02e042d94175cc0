"""Timing of DFT and networks against system size, with the hardware on record."""

from extensive.timing.fits import PowerLaw, fit_exponents, fit_power_law
from extensive.timing.hardware import hardware_label, hardware_record
from extensive.timing.measure import Timing, median_seconds, supercell_of_cells, write_timings

__all__ = [
    "PowerLaw",
    "Timing",
    "fit_exponents",
    "fit_power_law",
    "hardware_label",
    "hardware_record",
    "median_seconds",
    "supercell_of_cells",
    "write_timings",
]
