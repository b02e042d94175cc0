"""Spectral neighbour analysis potentials (Thompson and others, J. Comput. Phys. 285, 316 (2015)): linear in bispectra.

Fitted by FitSNAP (Rohskopf and others, JOSS 8, 5118 (2023)) with the settings of its example of linear SNAP,
Ta_Linear_JCP2014, and radii and weights of elements as in those of alloys; evaluated by LAMMPS's pair style snap.
"""

import functools
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers, covalent_radii

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.peers.lammps import Lammps, library, upright
from extensive.peers.sheets import check_forces, with_height

NAME = "snap"
# The example's.
ENERGY_WEIGHT, FORCES_WEIGHT = 100.0, 1.0
LARGEST_RADIUS = 0.5


def radii(elements: Sequence[str]) -> list[float]:
    """Radius of each element in units of the cutoff: the largest is 0.5, others smaller as their covalent radii are."""
    found = np.array([covalent_radii[atomic_numbers[element]] for element in elements])
    return (LARGEST_RADIUS * found / found.max()).round(6).tolist()


def weights(elements: Sequence[str], least: float) -> list[float]:
    """Weight of each element as a neighbour, by which elements are told apart: evenly from 1 to `least`."""
    return np.linspace(1.0, least, len(elements)).round(6).tolist()


def inputs(elements: Sequence[str], settings: dict[str, Any], potential: Path) -> dict[str, dict[str, Any]]:
    """FitSNAP's input, as its example has it, but for the elements and without a repulsion at short distances.

    That repulsion (zbl) keeps atoms apart that come closer than any of the labels' do.
    """
    kinds = len(elements)
    return {
        "BISPECTRUM": {
            "numTypes": kinds, "twojmax": " ".join([str(settings["twojmax"])] * kinds),
            "rcutfac": settings["cutoff_A"], "rfac0": 0.99363, "rmin0": 0.0,
            "wj": " ".join(map(str, weights(elements, settings["least_weight"]))),
            "radelem": " ".join(map(str, radii(elements))), "type": " ".join(elements), "wselfallflag": 0,
            "chemflag": 0, "bzeroflag": 0, "quadraticflag": 0,
        },
        "CALCULATOR": {"calculator": "LAMMPSSNAP", "energy": 1, "force": 1, "stress": 0},
        "ESHIFT": dict.fromkeys(elements, 0.0),
        "SOLVER": {"solver": "SVD", "compute_testerrs": 0, "detailed_errors": 0},
        "OUTFILE": {"metrics": f"{potential}-metrics.md", "potential": str(potential)},
        "REFERENCE": {"units": "metal", "atom_style": "atomic", "pair_style": "zero 10.0", "pair_coeff": "* *"},
        "MEMORY": {"override": 1},
    }  # fmt: skip


def start_lammps(calculator: Any, printlammps: int = 0) -> None:
    """Start LAMMPS as FitSNAP 3.1 does, and give it the names that it calls it by: LAMMPS has changed some since."""
    lammps = calculator._lmp = calculator.pt.initialize_lammps()
    create, extract = lammps.create_atoms, lammps.numpy.extract_atom
    lammps.create_atoms = lambda n, id, type, x, **_: create(n, id, type, x)
    for name in ("extract_atom_iarray", "extract_atom_darray"):
        if not hasattr(lammps.numpy, name):
            setattr(lammps.numpy, name, lambda name, nelem, dim=1: extract(name, nelem=nelem, dim=dim))


def labelled(atoms: Atoms) -> Atoms:
    """A sheet in LAMMPS's axes with its labels where FitSNAP looks for them. It turns cells itself, but not forces."""
    sheet, prism = upright(atoms)
    forces = prism.vector_to_lammps(with_height(atoms).arrays[keys.REF_FORCES])
    sheet.calc = SinglePointCalculator(
        sheet, energy=float(atoms.info[keys.REF_ENERGY]), forces=forces, stress=np.zeros(6)
    )
    return sheet


def train(
    training: Sequence[Atoms],
    settings: dict[str, Any],
    folder: str | Path,
    coefficients: str | Path,
    parameters: str | Path,
) -> None:
    """Fit labelled sheets; write what LAMMPS reads, `coefficients` (.snapcoeff) and `parameters` (.snapparam).

    FitSNAP writes into `folder`. Raises InputError if it is not installed, or a sheet has no forces.
    """
    check_forces(training, NAME)
    library()  # before FitSNAP imports it, so that it finds its MPI
    try:
        from fitsnap3lib.fitsnap import FitSnap
        from fitsnap3lib.scrapers.ase_funcs import ase_scraper
    except ImportError:
        raise InputError("fitsnap3 is not installed; baselines need the extra: envs/setup.sh bench") from None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    elements = sorted({symbol for atoms in training for symbol in atoms.symbols})
    # FitSNAP asks for every library's debugging messages unless some program has set up logging before it.
    logging.basicConfig(level=logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = FitSnap(inputs(elements, settings, folder / NAME), arglist=["--overwrite"])
        fitted.calculator._initialize_lammps = functools.partial(start_lammps, fitted.calculator)
        data = ase_scraper([labelled(atoms) for atoms in training])
        for sheet in data:
            sheet.update(eweight=ENERGY_WEIGHT, fweight=FORCES_WEIGHT)
        fitted.process_configs(data, delete_data=True)
        fitted.perform_fit()
        fitted.output.write_lammps(fitted.solver.fit)
    for suffix, path in ((".snapcoeff", coefficients), (".snapparam", parameters)):
        with atomic_path(path) as temporary:
            temporary.write_bytes((folder / f"{NAME}{suffix}").read_bytes())


class Snap(Lammps):
    """A fitted potential: its files for LAMMPS. Energies of elements are among its coefficients."""

    def __init__(self, coefficients: str | Path, parameters: str | Path) -> None:
        lines = Path(coefficients).read_text().splitlines()
        numbered = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        kinds, count = map(int, numbered[0])
        # A line for each element, before its coefficients.
        elements = [numbered[1 + kind * (count + 1)][0] for kind in range(kinds)]
        pair = ["pair_style snap", f"pair_coeff * * {coefficients} {parameters} {' '.join(elements)}"]
        super().__init__(NAME, pair, elements)
