"""Relax a Stone-Wales defect in 960 atoms of graphene, then let it move for 10 ps at constant energy.

    python examples/stone_wales.py --model ednn

Prints the energy before and after relaxation, and how well the total energy is conserved (eV, fs).
"""

import argparse

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from extensive import Calculator
from extensive.structures.defects import stone_wales
from extensive.structures.lattices import LATTICE_CONSTANTS_A, graphene


def relax(atoms: Atoms, fmax: float = 0.05, steps: int = 200) -> float:
    """Relax in place; returns the energy gained, eV."""
    before = atoms.get_potential_energy()
    FIRE(atoms, logfile=None).run(fmax=fmax, steps=steps)
    return before - atoms.get_potential_energy()


def dynamics(atoms: Atoms, steps: int, temperature_K: float = 300.0, time_step_fs: float = 1.0, seed: int = 0) -> float:
    """Velocity Verlet in the plane; returns the drift of the total energy, meV/atom/ps (slope of a line)."""
    # From rest positions, half of the kinetic energy soon becomes potential: start at twice the temperature. The
    # network knows flat sheets, so nothing moves out of the plane.
    spread = np.sqrt(units.kB * 2 * temperature_K / atoms.get_masses())
    velocities = np.zeros((len(atoms), 3))
    velocities[:, :2] = spread[:, None] * np.random.default_rng(seed).standard_normal((len(atoms), 2))
    atoms.set_velocities(velocities)
    Stationary(atoms)
    verlet = VelocityVerlet(atoms, time_step_fs * units.fs)
    times, energies = [], []

    def note() -> None:
        times.append(verlet.nsteps * time_step_fs / 1000)
        energies.append(1000 * atoms.get_total_energy() / len(atoms))

    verlet.attach(note, interval=max(1, steps // 1000))
    verlet.run(steps)
    return float(np.polyfit(times, energies, 1)[0])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ednn", help="path or published name")
    parser.add_argument("--supercell", type=int, nargs=2, default=(20, 12), help="4-atom cells along x and y")
    parser.add_argument("--steps", type=int, default=10_000, help="time steps of 1 fs")
    options = parser.parse_args()
    a = LATTICE_CONSTANTS_A["graphene"]
    atoms = stone_wales(graphene(tuple(options.supercell), a), a, np.random.default_rng(0))
    atoms.calc = Calculator(options.model)
    print(f"{len(atoms)} atoms: {relax(atoms):.3f} eV gained by relaxation")
    drift = dynamics(atoms, options.steps)
    print(f"{options.steps / 1000:g} ps at constant energy: drift {drift:.4f} meV/atom/ps")


if __name__ == "__main__":
    main()
