"""What labels that are not spin-polarised leave out: the first archived label of each data set, and again with spin.

    python tests/benchmarks/spin_polarisation.py graphene-vacancy-validation-rattle porous-validation-rattle

All atoms begin with a moment of 1 Bohr magneton, so that states at the Fermi level may split. Half an hour each.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.config import load_config
from extensive.io import read_structures
from extensive.reference.arithmetic import faster_sums
from extensive.reference.calculator import iterate, new_calculator, prepare_serial_process
from extensive.reference.occupations import right_fermi_level
from extensive.reference.settings import DFTSettings, with_vacuum

ARCHIVE = Path("results/published/labels")
MOMENT = 1.0  # of each atom at first, Bohr magnetons


def polarised(atoms: Atoms, settings: DFTSettings) -> tuple[float, np.ndarray, float, int]:
    """Free energy (eV), forces (N, 3) (eV/A), magnetic moment of the cell (Bohr magnetons) and iterations."""
    sheet = with_vacuum(atoms, settings)
    sheet.set_initial_magnetic_moments(np.full(len(sheet), MOMENT))
    with faster_sums(), right_fermi_level():
        calculator = new_calculator(atoms, settings, settings.mixer, 3 * settings.max_iterations)
        calculator.create_new_calculation(sheet)
        iterations = iterate(calculator)
        calculator.dft.calculate_energy()
        calculator.dft.magmoms()  # GPAW's own loop does so too
        forces = np.array(calculator.get_forces(sheet))
        energy = calculator.get_potential_energy(sheet, force_consistent=True)
    return energy, forces, calculator.get_magnetic_moment(sheet), iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    arguments = parser.parse_args()
    prepare_serial_process()
    settings = DFTSettings.from_config(load_config(arguments.config)["reference"]["dft"])
    for name in arguments.datasets:
        label = read_structures(ARCHIVE / f"{name}.extxyz.gz")[0]
        energy, forces, moment, iterations = polarised(label, replace(settings, start_kpoints=None))
        change = 1e3 * (energy - label.info[keys.REF_ENERGY])
        differences = 1e3 * np.abs(forces - label.arrays[keys.REF_FORCES])
        print(
            f"{label.info[keys.STRUCTURE_ID]}: {moment:.2f} Bohr magnetons, {iterations} iterations; with spin less"
            f" without {change:.1f} meV, {change / len(label):.2f} meV/atom; forces differ by {differences.mean():.1f}"
            f" meV/A on average, {differences.max():.0f} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
