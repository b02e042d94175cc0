"""A stand-in for GPAW, atoms on springs, and small data sets to label with it."""

from dataclasses import replace

import numpy as np

from extensive import keys
from extensive.config import complete_config
from extensive.reference import dynamics
from extensive.reference.calculation import LabelFailed
from extensive.reference.record import with_label
from extensive.reference.settings import (
    DFTSettings,
)
from extensive.structures.datasets import generate_dataset

CONFIG = complete_config({"run": "test", "seed": 7})
PRODUCTION = DFTSettings.from_config(CONFIG["reference"]["dft"])
# Fewer k-points than those of labels, so that they can be counted: all of them, and one for its mirror images.
EVERY_KPOINT = replace(PRODUCTION, kpoints=(2, 2), mirror_kpoints=True)
FEWEST_KPOINTS = replace(EVERY_KPOINT, mirror_kpoints=False)
VERSION = "26.7.0"


def dataset(name="graphene-rattle", **spec):
    spec = {"family": "graphene", "sampler": "rattle", "count": 3, "supercell": [1, 1], **spec}
    full = complete_config({"run": "test", "structures": {"datasets": {name: spec}}})
    return generate_dataset(name, full["structures"]["datasets"][name], 7)


def sheet(nx, ny, height=10.0):
    (atoms,) = dataset(count=1, supercell=[nx, ny], sampler="pristine", strain=0.0)
    atoms.cell[2, 2] = height
    return atoms


def spring_label(atoms, dft=PRODUCTION, version=VERSION):
    """A stand-in for GPAW: each atom on a spring of 20 eV/A^2 to its place in the ideal crystal, in the middle of z."""
    home = np.round(atoms.positions / 0.5) * 0.5
    home[:, 2] = atoms.cell[2, 2] / 2
    pull = atoms.positions - home
    forces = -20.0 * pull
    energy = float(10.0 * (pull**2).sum())
    record = {"iterations": 9, "seconds": 2.0, "cores": 1, "converged": True, "attempts": 1, "reused": False}
    record |= {"settings": dft.physical(), "versions": {"gpaw": version}}
    return with_label(atoms, energy, forces, {"kinetic": energy, "xc": 0.0}, record)


class StandIn:
    """Labels by springs; refuses structures by id and counts."""

    def __init__(self, refuse=()):
        self.refuse, self.count = refuse, 0

    def label(self, atoms):
        if atoms.info[keys.STRUCTURE_ID] in self.refuse:
            raise LabelFailed("mixer (0.05, 5, 50.0): did not converge")
        self.count += 1
        return spring_label(atoms)


MD = dynamics.Dynamics((300.0,), 2.0, 0.05, 12, 1)


def run_md(start, done=(), md=MD, seed=7):
    return list(dynamics.run_trajectory(start, md, 0, seed, "md:x", list(done), spring_label))
