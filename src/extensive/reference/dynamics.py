"""GPAW molecular dynamics of a sheet, of which every stored frame is a label.

Langevin dynamics by the BAOAB splitting of Leimkuhler and Matthews (J. Chem. Phys. 138, 174102 (2013)), whose
configurations are sampled right at large time steps. Velocities out of the plane are zero, so that a flat sheet stays
flat, unless `out_of_plane` sets all three coordinates free. The random numbers of a step depend only on (seed,
trajectory, step): a resumed trajectory draws what an unbroken one does.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms, units

from extensive import keys
from extensive.io import digest

VELOCITIES = "MD_velocities"  # (num_atoms, 3) Angstrom/ps
TRAJECTORY = "MD_trajectory"  # digest of what determines the trajectory
FRAME = "MD_frame"  # index of the stored frame
STEP = "MD_step"  # number of the time step, from 1
TIME_FS = "time_fs"
TEMPERATURE_K = "temperature_K"  # the thermostat's

# Positions are rounded at each step as all structures are; velocities to what the file holds.
POSITION_DECIMALS = 6
VELOCITY_DECIMALS = 6
A_PER_PS = 1000.0 * units.fs  # ASE velocity unit to Angstrom/ps


@dataclass(frozen=True)
class Dynamics:
    """Thermostat and time step. `frames` frames are stored, one every `save_every` steps."""

    temperatures_K: tuple[float, ...]
    time_step_fs: float
    friction_per_fs: float
    frames: int
    save_every: int
    out_of_plane: bool = False

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "Dynamics":
        """From a data set's `md` section; lists are made tuples."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in section.items()})

    def temperature_K(self, trajectory: int) -> float:
        """Temperature of trajectory number `trajectory`: the configured ones in turn."""
        return float(self.temperatures_K[trajectory % len(self.temperatures_K)])


def trajectory_digest(start_digest: str, dynamics: Dynamics, index: int, seed: int) -> str:
    """Digest of what determines a trajectory: its start (with the DFT settings), thermostat, time step and seed."""
    value = asdict(dynamics)
    # More frames or other temperatures of other trajectories are no other trajectory.
    del value["frames"], value["temperatures_K"]
    if not dynamics.out_of_plane:
        del value["out_of_plane"]  # trajectories from before there was a choice say nothing
    value = {**value, "temperature_K": dynamics.temperature_K(index), "start": start_digest, "seed": seed}
    return "md:" + digest({**value, "index": index})


def generator(seed: int, dataset: str, index: int, step: int) -> np.random.Generator:
    """Random numbers of one step of one trajectory."""
    return np.random.default_rng([seed, int(digest(dataset)[:12], 16), index, step])


def thermal_velocities(
    atoms: Atoms, temperature_K: float, rng: np.random.Generator, out_of_plane: bool = False
) -> np.ndarray:
    """Maxwell-Boltzmann velocities (N, 3), ASE units, in the plane unless free; the centre of mass is at rest."""
    masses = atoms.get_masses()[:, None]
    velocities = rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * temperature_K / masses)
    if not out_of_plane:
        velocities[:, 2] = 0.0
    return velocities - (masses * velocities).sum(axis=0) / masses.sum()


def run_trajectory(
    start: Atoms,
    dynamics: Dynamics,
    index: int,
    seed: int,
    trajectory: str,
    done: list[Atoms],
    label: Callable[[Atoms], Atoms],
) -> Iterator[Atoms]:
    """Yield the labelled frames of one trajectory that are not in `done`, in order of time.

    `start` (N atoms) is a sheet; `done` the frames there are already, in order; `label` returns its argument with
    REF_energy (eV) and REF_forces (eV/A). Each frame carries its trajectory, frame and step numbers, time, temperature
    and velocities, so that the run goes on from it. Whatever `label` raises ends the trajectory.
    """
    dataset, parent = start.info[keys.DATASET], start.info[keys.STRUCTURE_ID]
    temperature, free = dynamics.temperature_K(index), dynamics.out_of_plane
    time_step = dynamics.time_step_fs * units.fs
    decay = np.exp(-dynamics.friction_per_fs * dynamics.time_step_fs)
    if done:
        current, step = done[-1].copy(), int(done[-1].info[STEP])
        velocities = done[-1].arrays[VELOCITIES] / A_PER_PS
    else:
        step = 0
        velocities = thermal_velocities(start, temperature, generator(seed, dataset, index, 0), free)
        current = label(start)
    masses = start.get_masses()[:, None]
    for frame in range(len(done), dynamics.frames):
        while step < (frame + 1) * dynamics.save_every:
            step += 1
            velocities = velocities + 0.5 * time_step * _forces(current, free) / masses
            moved = _bare(current)
            moved.positions += 0.5 * time_step * velocities
            noise = thermal_velocities(start, temperature, generator(seed, dataset, index, step), free)
            velocities = decay * velocities + np.sqrt(1.0 - decay**2) * noise
            moved.positions += 0.5 * time_step * velocities
            moved.positions = np.round(moved.positions, POSITION_DECIMALS)
            moved.info[keys.STRUCTURE_ID] = f"{parent}-f{frame:04d}"
            current = label(moved)
            velocities = velocities + 0.5 * time_step * _forces(current, free) / masses
            # What is stored is what the run goes on with, so that stopping changes nothing.
            stored = np.round(velocities * A_PER_PS, VELOCITY_DECIMALS) + 0.0
            velocities = stored / A_PER_PS
        current.arrays[VELOCITIES] = stored
        current.info.update(
            {
                keys.PARENT: parent,
                TRAJECTORY: trajectory,
                FRAME: frame,
                STEP: step,
                TIME_FS: round(step * dynamics.time_step_fs, 6),
                TEMPERATURE_K: temperature,
            }
        )
        yield current


def _forces(labelled: Atoms, out_of_plane: bool) -> np.ndarray:
    forces = labelled.arrays[keys.REF_FORCES].copy()
    # GPAW's grid breaks translational symmetry slightly; the sheet as a whole must not drift.
    forces -= forces.mean(axis=0)
    if not out_of_plane:
        forces[:, 2] = 0.0
    return forces


def _bare(labelled: Atoms) -> Atoms:
    """The structure without its label."""
    bare = Atoms(labelled.numbers, labelled.positions, cell=labelled.cell, pbc=labelled.pbc)
    kept = (keys.DATASET, keys.FAMILY, keys.SAMPLER, keys.SUPERCELL)
    bare.info = {key: labelled.info[key] for key in kept if key in labelled.info}
    return bare
