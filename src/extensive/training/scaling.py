"""What a training's numbers are divided by: errors in its loss, its network's output, the images that it is given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from extensive.models import Potential
from extensive.training.augment import Sheet
from extensive.training.data import Group, ShapeRule, evaluation_batches

# Images that the standardisation of the input is fitted to.
STATISTICS = 64
# Less than this is rounding (eV/atom; eV/Angstrom; eV/Angstrom^2): so little is left of the energies, where there are
# no more structures than energies of elements that are fitted to them.
ROUNDING = 1e-6


@dataclass(frozen=True)
class LossUnits:
    """What errors are divided by in the loss."""

    energy: float  # eV ('minmax') or eV/atom ('rms')
    per_atom: bool  # whether energy errors are taken per atom
    forces: float  # eV/Angstrom
    stress: float = 1.0  # eV/Angstrom^2: the strain gradient over the area


def fit_units(sheets: Sequence[Sheet], scaling: str) -> LossUnits:
    """Units of the loss from the training set, energies being less the per-element energies.

    'minmax' divides total energies by their range, as the papers; 'rms' energies per atom by their root mean
    square. Forces are divided by theirs, and so is the stress of a sheet, the strain gradient over its area. What is
    only rounding is divided by 1.
    """
    energies = np.array([sheet.energy_eV for sheet in sheets])
    atoms = np.array([len(sheet) for sheet in sheets])
    forces = stress = 1.0
    if sheets[0].forces is not None:
        forces = _or_one(_rms(np.concatenate([sheet.forces for sheet in sheets])))
    known = [sheet.strain_gradient / area_of(sheet) for sheet in sheets if sheet.strain_gradient is not None]
    if known:
        stress = _or_one(_rms(np.array(known)))
    if scaling == "minmax":
        return LossUnits(_or_one(float(np.ptp(energies)), atoms.mean()), False, forces, stress)
    return LossUnits(_or_one(_rms(energies / atoms)), True, forces, stress)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _or_one(size: float, roundings: float = 1.0) -> float:
    """`size`, or 1 if it is no more than so many roundings."""
    return 1.0 if size <= roundings * ROUNDING else size


def area_of(sheet: Sheet) -> float:
    """Area of a sheet's cell, Angstrom^2."""
    if sheet.periods is None:
        return float(np.prod(sheet.cell))
    return float(abs(np.linalg.det(sheet.periods) * np.linalg.det(sheet.pixels_A)))


def fit_output(potential: Potential, sheets: Sequence[Sheet], scaling: str, shape_of: ShapeRule) -> None:
    """Set the potential's energy scale and shift, and the statistics of its images, from the training set.

    'minmax' maps the training energies onto [0, 1] (papers). 'rms' takes the root mean square, of an ednn
    that per square root of the terms that it sums: what a sum of independent outputs of order one comes to. A
    sum over tiles must stay additive, so an ednn gets no shift. Energies that are only rounding get a scale of 1 eV.
    """
    energies = np.array([sheet.energy_eV for sheet in sheets])
    atoms = np.mean([len(sheet) for sheet in sheets])
    if scaling == "minmax":
        potential.energy_scale_eV = _or_one(float(np.ptp(energies)), atoms)
        potential.energy_shift_eV = 0.0 if potential.config.network == "ednn" else float(energies.min())
    else:
        terms = 1
        if potential.config.network == "ednn":
            terms = math.prod(shape_of(sheets[0].cell)) / potential.network.multiple_px**2
        scale = float(np.sqrt(np.mean(energies**2) / terms))
        potential.energy_scale_eV = _or_one(scale, atoms / math.sqrt(terms))
    with torch.no_grad():
        groups = evaluation_batches(sheets[:: max(1, len(sheets) // STATISTICS)], shape_of)
        images = [_images(potential, group).flatten(2) for group in groups]
        potential.network.standardize.fit(torch.cat([part.transpose(0, 1).flatten(1) for part in images], 1)[None])


def _images(potential: Potential, group: Group) -> torch.Tensor:
    if group.torus is not None:
        return potential.oblique_images(group.atoms, group.pixels, group.torus)[0]
    return potential.images(group.atoms, group.shape) if group.images is None else group.images
