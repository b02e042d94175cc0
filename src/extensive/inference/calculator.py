"""ASE calculator: a trained network as the potential energy of any flat sheet that is like its training set.

>>> from extensive import Calculator                             # doctest: +SKIP
>>> atoms.calc = Calculator()                                    # doctest: +SKIP
>>> atoms.get_potential_energy(), atoms.get_forces()             # doctest: +SKIP

Any cell and any direction will do: a sheet is brought into the network's frame, and forces into the user's (see
structures.frame). The network knows positions in the plane: forces out of it are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from extensive.errors import InputError
from extensive.images.placement import MOST_ATOMS, Grid, Placed, place
from extensive.inference import Engine
from extensive.inference.shifts import copies_of, forces_back, knows_exchange, symmetries_for
from extensive.models import Potential, load_model
from extensive.models.devices import pick_device
from extensive.models.domain import check_bonds, largest_pitch
from extensive.models.stress import strain_gradient
from extensive.paths import model_folders
from extensive.structures.frame import Frame, check_no_chain, frame_of, name_of

OPTIONS = ("model", "device", "dtype", "extrapolate", "symmetric")
DTYPES = {"float32": torch.float32, "float64": torch.float64}
# How far a cnn's cell may lie outside the range of its training cells.
CELL_MARGIN = 0.01
# Cells below this have no vector across the sheet.
SMALLEST_VOLUME_A3 = 1e-6


def find_model(name: str | Path) -> Path:
    """Path of a model's files without suffix: a path, or the name of a published model.

    Raises InputError naming what was looked for, and the published models, if there is none.
    """
    path = Path(name)
    stem = path.with_suffix("") if path.suffix in (".pt", ".json") else path
    folders = model_folders()
    for candidate in (stem, *(folder / stem for folder in folders)):
        # `.` and `/` have no name that a file could have. Of some published models only the description is there.
        suffixes = (".json",) if candidate == stem else (".json", ".pt")
        if stem.name and all(candidate.with_name(candidate.name + suffix).is_file() for suffix in suffixes):
            return candidate
    known = sorted(
        {file.stem for folder in folders for file in folder.glob("*.json") if file.with_suffix(".pt").is_file()}
    )
    raise InputError(
        f"{name}: no such model; give the path of a .pt with its .json beside it, or the name of a published model"
        f" ({', '.join(known) or 'none yet'})"
    )


def check_domain(atoms: Atoms, potential: Potential, extrapolate: bool = False, name: str | None = None) -> Placed:
    """The sheet on the model's grid. InputError unless it is a flat sheet of known elements, like the training set.

    With `extrapolate` a sheet of other strain or size is let pass; shape, elements and overlaps never are.
    """
    name = name_of(atoms, name)
    frame = frame_of(atoms, name)
    what = f"structure {name}"
    grid = check_frame(frame, atoms.numbers, potential, extrapolate, what)
    check_bonds(frame, grid.angle, potential.metadata, what, extrapolate, knows_exchange(potential))
    return place(frame, atoms.numbers, grid)


def check_frame(
    frame: Frame,
    numbers: np.ndarray,
    potential: Potential,
    extrapolate: bool,
    name: str,
    most_atoms: int = MOST_ATOMS,
) -> Grid:
    """The model's grid of a sheet in its frame, atoms of `numbers` (N,); InputError as by `check_domain`, but for what
    bonds say.
    """
    check_no_chain(frame, name)
    strange = sorted({chemical_symbols[number] for number in np.unique(numbers)} - set(potential.elements))
    if strange:
        raise InputError(f"{name}: element {strange[0]} is unknown to the model, which knows {potential.elements}")
    grid = potential.grid_of(frame, name, most_atoms)
    if not extrapolate and grid.periods is None:
        _check_cell(np.linalg.norm(grid.cells @ frame.vectors, axis=1), potential, name)
    return grid


def _check_cell(lengths: np.ndarray, potential: Potential, name: str) -> None:
    """A cnn has one size of image; an ednn takes any size whose pixels are like those that it was trained on."""
    if "cell_range_A" not in potential.metadata:
        return
    low, high = np.array(potential.metadata["cell_range_A"])
    config = potential.config
    if config.network == "cnn":
        if (lengths < low * (1 - CELL_MARGIN)).any() or (lengths > high * (1 + CELL_MARGIN)).any():
            raise InputError(
                f"{name}: the cell is {lengths[0]:.2f} x {lengths[1]:.2f} A; this cnn takes one size of image, of cells"
                f" {low[0]:.2f} to {high[0]:.2f} by {low[1]:.2f} to {high[1]:.2f} A (an ednn takes any)"
            )
        return
    height, width = potential.image_shape(lengths)
    deviation = np.abs(np.log(lengths / (width, height) / config.pixel_size_A)).max()
    allowed = largest_pitch(potential.multiple_px, config.pixel_size_A, potential.metadata)
    if deviation > allowed + 1e-9:
        raise InputError(
            f"{name}: a cell of {lengths[0]:.2f} x {lengths[1]:.2f} A makes pixels {100 * deviation:.0f} % off"
            f" {config.pixel_size_A} A, and the model was trained to {100 * allowed:.0f} %; repeat the cell"
        )


class Calculator(AseCalculator):
    """Energy, free energy (the same; eV), forces (N, 3) (eV/Angstrom), stress (eV/Angstrom^3) of one network or more.

    Stress is the derivative at a fixed number of pixels, zero across the sheet; only networks of form 'convolutional'
    have it. Where a strain changes the number of pixels, the energy jumps: see docs/own-structures.md.

    `model` is the path of a model (`<model>.pt` with `<model>.json` beside it), the name of a published one (the EDNN
    unless given), or a list of these, whose mean is the result and whose spread is the uncertainty. `device` is
    'auto', 'cpu' or 'cuda'; `dtype` 'float32' or 'float64'. `extrapolate=True` lets pass sheets of a strain or size
    outside the training set's. `symmetric=True` takes the shift average (see
    `inference.shifts`), which makes an ensemble of one model at eight times the cost. Other keywords are ASE's own
    (`label`, `directory`, `atoms`). Raises InputError for a model that is none, for an unknown keyword, and on
    calculation for a structure that the model cannot know: elements, atoms out of the plane, or overlapping.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 - ASE's interface

    def __init__(
        self,
        model: str | Path | Sequence[str | Path] = "ednn",
        device: str = "auto",
        dtype: str = "float32",
        extrapolate: bool = False,
        symmetric: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        names = [model] if isinstance(model, str | Path) else list(model)
        if not names:
            raise InputError("model: an empty list; give one model or several")
        if dtype not in DTYPES:
            raise InputError(f"dtype: {dtype!r}; it must be one of {', '.join(DTYPES)}")
        where = pick_device(device)
        self.extrapolate, self.symmetric = extrapolate, symmetric
        self.potentials = [load_model(find_model(name), where) for name in names]
        for name, potential in zip(names, self.potentials, strict=True):
            if not potential.elements:
                raise InputError(f"{name}: a model of dimers or Ising lattices; it knows no sheets of atoms")
            potential.to(DTYPES[dtype])
        if len({tuple(sorted(potential.elements)) for potential in self.potentials}) > 1:
            raise InputError(f"model: {[str(name) for name in names]} know different elements; they are no ensemble")
        self._engines = [
            Engine(potential, dtype, where) if getattr(potential.network, "can_fuse", False) else None
            for potential in self.potentials
        ]

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """ASE's entry point for parameters, of which there are none. InputError naming the first that is given."""
        for name in kwargs:
            if name in OPTIONS:
                raise InputError(f"Calculator: {name!r} cannot be changed; make another: Calculator(..., {name}=...)")
            raise InputError(f"Calculator: unknown option {name!r}; known: {', '.join(OPTIONS)}, and those of ASE")
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's entry point; fills `results`."""
        super().calculate(atoms, properties, system_changes)
        energies, forces = self._members(self.atoms, "forces" in properties)
        found = {"energy": float(np.mean(energies)), "free_energy": float(np.mean(energies))}
        if forces is not None:
            found["forces"] = np.mean(forces, axis=0)
        if "stress" in properties:
            found["stress"] = self._stress(self.atoms)
        # Of the same structure, what was asked for before still holds.
        self.results = {**({} if system_changes else self.results), **found}

    def uncertainty(self, atoms: Atoms | None = None) -> dict[str, Any]:
        """Standard deviations over the ensemble: its models and, of shift averages, the copies.

        `energy` (eV), `energy_per_atom` (eV), `forces` (N, 3) (eV/A). Raises InputError for a calculator of one model
        without shift average.
        """
        if len(self.potentials) < 2 and not self.symmetric:
            raise InputError(
                "uncertainty: one model has no spread; give Calculator a list of models, or symmetric=True"
            )
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise InputError("uncertainty: no structure; give one, or calculate one first")
        energies, forces = self._members(atoms, True)
        spread = float(np.std(energies, ddof=1))
        return {"energy": spread, "energy_per_atom": spread / len(atoms), "forces": np.std(forces, axis=0, ddof=1)}

    def _stress(self, atoms: Atoms) -> np.ndarray:
        """Mean stress (6,), eV/Angstrom^3, in ASE's order: dE/d(strain) over the volume, zero across the sheet."""
        frame, volume = frame_of(atoms), abs(np.linalg.det(atoms.cell.array))
        if volume < SMALLEST_VOLUME_A3:
            raise InputError(
                f"structure {name_of(atoms)}: no stress without a volume; give the cell a vector across it"
            )
        gradients = []
        for potential in self.potentials:
            placed = check_domain(atoms, potential, self.extrapolate)
            pairs = [(placed, np.eye(2))]
            if self.symmetric:
                copies = zip(copies_of(potential, placed), symmetries_for(potential), strict=True)
                pairs = [(sheet, symmetry.matrix) for sheet, symmetry in copies]
            for sheet, matrix in pairs:
                rotation = matrix @ placed.rotation @ frame.axes[:2]  # (2, 3) | from the user's axes to the grid's
                gradients.append(rotation.T @ strain_gradient(potential, sheet) @ rotation)
        return full_3x3_to_voigt_6_stress(np.mean(gradients, axis=0) / volume)

    def _members(self, atoms: Atoms, with_forces: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Energies (M,) and forces (M, N, 3) of the M models or, where symmetric, models and copies."""
        energies, forces = [], []
        for potential, engine in zip(self.potentials, self._engines, strict=True):
            placed = check_domain(atoms, potential, self.extrapolate)
            symmetries = symmetries_for(potential)
            copies = copies_of(potential, placed) if self.symmetric else [placed]
            for number, sheet in enumerate(copies):
                if engine is not None:
                    energy, force = engine.energy_and_forces(sheet) if with_forces else (engine.energy(sheet), None)
                elif with_forces:
                    found, parts = potential.energies_and_forces([sheet], batch_atoms=len(placed))
                    energy, force = float(found[0]), parts[0]
                else:
                    energy, force = float(potential.energies([sheet], batch_atoms=len(placed))[0]), None
                energies.append(energy)
                if with_forces:
                    force = forces_back(force, symmetries[number]) if self.symmetric else force
                    forces.append(frame_of(atoms).back(placed.back(force[:, :2])))
        return np.array(energies), np.array(forces) if with_forces else None
