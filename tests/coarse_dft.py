"""DFT settings so coarse that tests afford them: primitive cells, a small basis."""

COARSE = {
    "basis": "sz(dzp)",
    "grid_points": [12, 20],
    "grid_cells": [1, 1],
    "z_spacing_A": 0.3,
    "vacuum_A": 2.5,
    "kpoints": [2, 2],
    "kpoint_cells": [1, 1],
    "occupations": "fermi-dirac",
    "smearing_eV": 0.6,
    "start_kpoints": None,
}
