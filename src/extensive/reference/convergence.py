"""The convergence study: what each DFT setting contributes to the error of energy differences.

One setting at a time is varied about the production settings, those other than the grid on a coarser one. Its error
is judged by what matters to a model: by how much the energy difference per atom of two structures of one family
changes from the best value of that setting; and by the egg-box noise, the spread of the energy when a sheet is shifted
rigidly against the grid.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.reference.calculation import record_of
from extensive.reference.settings import DFTSettings, grid_shape

COLUMNS = (
    "study",
    "setting",
    "unit",
    "system",
    "error_meV_per_atom",
    "beside_elements_meV_per_atom",
    "chosen",
    "seconds",
)
DATASET = "convergence"  # its labels' file in the archive
GRID_STUDIES = ("grid", "egg-box")


@dataclass(frozen=True)
class Point:
    """One value of one setting."""

    study: str
    setting: str
    unit: str
    settings: DFTSettings
    chosen: bool  # the production value
    shifts: tuple[float, ...] = ()  # of the sheet, in grid spacings along x and y; egg-box only


def points(study: dict[str, Any], production: DFTSettings) -> list[Point]:
    """All points of the configured study; within each setting the last one is the best, held to be exact.

    Raises InputError for a setting whose production value is not among those studied.
    """
    found: list[Point] = []
    # The other settings' errors hardly depend on the grid, and a coarser one costs less.
    coarse = replace(production, grid_points=tuple(study["coarse_grid_points"]))

    def add(name: str, setting: str, unit: str, chosen: bool, shifts: tuple[float, ...] = (), **changes: Any) -> None:
        base = production if name in GRID_STUDIES else coarse
        found.append(Point(name, setting, unit, replace(base, **changes), chosen, shifts))

    grids = [tuple(grid) for grid in study["grid_points"]]
    for name, shifts in zip(GRID_STUDIES, ((), tuple(study["shifts"]))):
        for grid in grids:
            z_spacing_A = production.z_spacing_A * production.grid_points[0] / grid[0]
            chosen = grid == production.grid_points
            add(name, f"{grid[0]}", "points along x", chosen, shifts, grid_points=grid, z_spacing_A=z_spacing_A)
    densest = tuple(study["kpoints"][-1])
    for kpoints in map(tuple, study["kpoints"]):
        name, chosen = f"{kpoints[0]}x{kpoints[1]}", kpoints == production.kpoints
        add("k-points", name, "per 60 atoms", chosen, kpoints=kpoints)
        if chosen and not production.mirror_kpoints:
            add("k-points", f"{name} all", "per 60 atoms", False, mirror_kpoints=True)
    for vacuum in study["vacuum_A"]:
        add("vacuum", f"{vacuum:g}", "Angstrom", vacuum == production.vacuum_A, vacuum_A=vacuum)
    for width in study["smearing_eV"]:
        # At the densest k-points, else this would be the k-points' error, which a wide distribution hides.
        add("smearing", f"{width:g}", "eV", width == production.smearing_eV, smearing_eV=width, kpoints=densest)
    for basis in study["basis"]:
        add("basis", basis, "", basis == production.basis, basis=basis)
    for error in study["density_convergence"]:
        chosen = error == production.density_convergence
        add("density", f"{error:g}", "electrons per electron", chosen, density_convergence=error)
    for name in dict.fromkeys(point.study for point in found):
        values = [point.setting for point in found if point.study == name]
        if not any(point.chosen for point in found if point.study == name):
            raise InputError(
                f"reference.convergence: the {name} study has {', '.join(values)} but not the production value"
            )
    return found


def shifted(atoms: Atoms, shift: float, settings: DFTSettings) -> Atoms:
    """A copy of a sheet, shifted by `shift` grid spacings along x and y (rounded to 1e-6 A)."""
    moved = atoms.copy()
    spacing = atoms.cell.lengths()[:2] / grid_shape(atoms, settings)[:2]
    moved.positions[:, :2] = np.round(moved.positions[:, :2] + shift * spacing, 6)
    return moved


def jobs(point: Point, structures: list[Atoms]) -> list[tuple[str, Atoms]]:
    """(name, structure) of each calculation of a point: all structures, or one and its shifts."""
    if point.shifts:
        first = structures[0]
        sheets = [first] + [shifted(first, shift, point.settings) for shift in point.shifts]
        return [(f"{_name(point, first)}-shift{index}", sheet) for index, sheet in enumerate(sheets)]
    return [(_name(point, atoms), atoms) for atoms in structures]


def _name(point: Point, atoms: Atoms) -> str:
    return f"{DATASET}-{atoms.info[keys.STRUCTURE_ID]}-{point.study}-{point.setting}"


def as_member(name: str, atoms: Atoms) -> Atoms:
    """`atoms` as a member of the convergence data set, under the id `name`."""
    member = atoms.copy()
    member.info.update({keys.STRUCTURE_ID: name, keys.DATASET: DATASET, keys.PARENT: atoms.info[keys.STRUCTURE_ID]})
    return member


def difference_error(energies: np.ndarray, best: np.ndarray) -> float:
    """Root mean square, over pairs of structures, of the change of their energy difference.

    `energies` and `best` (B,) are energies per atom with a setting and with the best one, in the same unit; a constant
    offset between the two cancels.
    """
    change = energies - best
    first, second = np.triu_indices(len(change), 1)
    return float(np.sqrt(np.mean((change[first] - change[second]) ** 2)))


def by_dataset(labelled: list[Atoms]) -> dict[str, list[Atoms]]:
    """Labels of one point by the data set that their structures come from, order kept."""
    found: dict[str, list[Atoms]] = {}
    for atoms in labelled:
        found.setdefault(atoms.info[keys.PARENT].rsplit("-", 1)[0], []).append(atoms)
    return found


def table(all_points: list[Point], results: list[dict[str, list[Atoms]]]) -> pd.DataFrame:
    """Rows (COLUMNS): one for each point and data set. `results` are the labels of each point, by data set.

    `beside_elements_meV_per_atom` is the error that is left when each element has an energy of its own, the same in all
    data sets: that part of a setting's error, the networks' per-element energies take out again.
    """
    last = {point.study: index for index, point in enumerate(all_points)}
    rows = []
    for point, labels in zip(all_points, results, strict=True):
        best = results[last[point.study]]
        beside = {} if point.shifts else _beside_elements(labels, best)
        for dataset, labelled in labels.items():
            energies = _per_atom(labelled)
            if point.shifts:
                error = float(np.ptp(energies))
            else:
                error = difference_error(energies, _per_atom(best[dataset]))
            rows.append(
                {
                    "study": point.study,
                    "setting": point.setting,
                    "unit": point.unit,
                    "system": labelled[0].info[keys.FAMILY],
                    "error_meV_per_atom": error * keys.MEV_PER_EV,
                    "beside_elements_meV_per_atom": beside.get(dataset, np.nan) * keys.MEV_PER_EV,
                    "chosen": point.chosen,
                    "seconds": float(np.mean([record_of(atoms)["seconds"] for atoms in labelled])),
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _per_atom(labelled: list[Atoms]) -> np.ndarray:
    return np.array([atoms.info[keys.REF_ENERGY] / len(atoms) for atoms in labelled])


def _beside_elements(labels: dict[str, list[Atoms]], best: dict[str, list[Atoms]]) -> dict[str, float]:
    """`difference_error` of each data set, eV/atom, after a fit of one energy per element to the changes of all."""
    sheets = [atoms for labelled in labels.values() for atoms in labelled]
    elements = sorted({number for atoms in sheets for number in atoms.numbers})
    counts = np.array([[np.count_nonzero(atoms.numbers == element) for element in elements] for atoms in sheets])
    others = [atoms for dataset in labels for atoms in best[dataset]]
    change = np.array([a.info[keys.REF_ENERGY] - b.info[keys.REF_ENERGY] for a, b in zip(sheets, others, strict=True)])
    left = (change - counts @ np.linalg.lstsq(counts, change)[0]) / counts.sum(axis=1)
    owner = np.repeat(list(labels), [len(labelled) for labelled in labels.values()])
    return {
        dataset: difference_error(part, np.zeros_like(part))
        for dataset in labels
        if len(part := left[owner == dataset])
    }
