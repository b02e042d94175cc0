"""The convergence study: how far energies and forces of the production settings are from the ground state.

Each study varies some settings about the production ones (or about a cheaper `base`), and its last point is the best,
held to be exact. Widths of the occupations and k-points are varied together, since a wide distribution hides what
coarse k-points miss. Errors are judged by what matters to a model: how much energy differences of sheets change, within
a family and, beside one energy for each element, across families; how much forces change; and the egg-box noise, the
spread of the energy of a sheet that is shifted rigidly against the grid.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.reference.record import record_of
from extensive.reference.sampling import grid_shape
from extensive.reference.settings import DFTSettings

COLUMNS = (
    "study",
    "setting",
    "system",
    "error_meV_per_atom",
    "beside_elements_meV_per_atom",
    "forces_meV_per_A",
    "chosen",
    "seconds",
)
ERRORS = COLUMNS[3:6]
DATASET = "convergence"  # its labels' file in the archive


@dataclass(frozen=True)
class Point:
    """One point of one study."""

    study: str
    setting: str
    settings: DFTSettings
    chosen: bool  # the production value of all that the study varies
    shifts: tuple[float, ...] = ()  # of the first sheet, in grid spacings along x and y; egg-box noise only
    datasets: tuple[str, ...] = ()  # that the study is of


def points(configured: dict[str, Any], production: DFTSettings) -> list[Point]:
    """All points of the configured studies (`reference.convergence`); the last one of each is the best.

    Raises InputError for an unknown setting and for a study that lacks the production values.
    """
    found: list[Point] = []
    known = {field.name for field in fields(DFTSettings)}
    for name, study in configured["studies"].items():
        varied = {key for point in study["points"] for key in point if key != "name"}
        if unknown := sorted((varied | set(study["base"])) - known):
            raise InputError(f"reference.convergence.studies.{name}: {unknown[0]!r} is no setting of reference.dft")
        base = _changed(production, study["base"])
        for point in study["points"]:
            settings = _changed(base, {key: value for key, value in point.items() if key != "name"})
            chosen = all(getattr(settings, key) == getattr(production, key) for key in varied)
            datasets = tuple(study["datasets"] or configured["datasets"])
            found.append(Point(name, point["name"], settings, chosen, tuple(study["shifts"]), datasets))
        if not any(point.chosen for point in found if point.study == name):
            values = ", ".join(point.setting for point in found if point.study == name)
            raise InputError(
                f"reference.convergence.studies.{name}: has {values} but not the production values of "
                f"{', '.join(sorted(varied))}"
            )
    return found


def _changed(settings: DFTSettings, changes: dict[str, Any]) -> DFTSettings:
    return replace(settings, **{key: tuple(v) if isinstance(v, list) else v for key, v in changes.items()})


def shifted(atoms: Atoms, shift: float, settings: DFTSettings) -> Atoms:
    """A copy of a sheet, shifted by `shift` grid spacings along x and y (rounded to 1e-6 A)."""
    moved = atoms.copy()
    points = np.array(grid_shape(atoms, settings)[:2])
    step = (atoms.cell.array[:2] / points[:, None]).sum(axis=0)
    moved.positions[:, :2] = np.round(moved.positions[:, :2] + shift * step[:2], 6)
    return moved


def jobs(point: Point, structures: list[Atoms]) -> list[tuple[str, Atoms]]:
    """(name, structure) of each calculation of a point: all structures, or one and its shifts."""
    if point.shifts:
        first = structures[0]
        sheets = [first] + [shifted(first, shift, point.settings) for shift in point.shifts]
        return [(f"{_name(point, first)}-shift{index}", sheet) for index, sheet in enumerate(sheets)]
    return [(_name(point, atoms), atoms) for atoms in structures]


def _name(point: Point, atoms: Atoms) -> str:
    setting = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in point.setting)
    return f"{DATASET}-{atoms.info[keys.STRUCTURE_ID]}-{point.study}-{setting}"


def as_member(name: str, atoms: Atoms) -> Atoms:
    """`atoms` as a member of the convergence data set, under the id `name`."""
    member = atoms.copy()
    member.info.update({keys.STRUCTURE_ID: name, keys.DATASET: DATASET, keys.PARENT: atoms.info[keys.STRUCTURE_ID]})
    return member


def difference_error(change: np.ndarray) -> float:
    """Root mean square, over pairs of structures, of the difference of their energies' changes (B,); 0 for one."""
    first, second = np.triu_indices(len(change), 1)
    return float(np.sqrt(np.mean((change[first] - change[second]) ** 2))) if len(first) else 0.0


def beside_elements(change: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Energy changes per atom (B,) that one energy for each element leaves; `change` (B,) per atom, `counts` (B, E)."""
    atoms = counts.sum(axis=1)
    shares = counts / atoms[:, None]
    return change - shares @ np.linalg.lstsq(shares, change, rcond=None)[0]


def by_dataset(labelled: list[Atoms]) -> dict[str, list[Atoms]]:
    """Labels of one point by the data set that their structures come from, order kept."""
    found: dict[str, list[Atoms]] = {}
    for atoms in labelled:
        found.setdefault(atoms.info[keys.PARENT].rsplit("-", 1)[0], []).append(atoms)
    return found


def table(all_points: list[Point], results: list[dict[str, list[Atoms]]]) -> pd.DataFrame:
    """Rows (COLUMNS): one for each point and system, and one for all of them. `results`: labels of each point.

    Energies are root mean squares: the error is that of energy differences in a family; beside elements is what one
    energy for each element, the same in all families, leaves of the changes themselves. Forces are mean absolute
    changes of components. Of shifted sheets the errors are the spread of the energy and what shifts do to the forces.
    """
    last = {point.study: index for index, point in enumerate(all_points)}
    rows = []
    for point, labels in zip(all_points, results, strict=True):
        best = results[last[point.study]]
        found = _shift_errors(labels) if point.shifts else _errors(labels, best)
        for system, errors in found.items():
            sheets = (
                labels[system]
                if system != keys.ALL_FAMILIES
                else [atoms for sheets in labels.values() for atoms in sheets]
            )
            rows.append(
                {
                    "study": point.study,
                    "setting": point.setting,
                    "system": system.removesuffix("-rattle"),
                    **dict(zip(ERRORS, errors * keys.MEV_PER_EV)),
                    "chosen": point.chosen,
                    "seconds": float(np.mean([record_of(atoms)["seconds"] for atoms in sheets])),
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _per_atom(labelled: list[Atoms]) -> np.ndarray:
    return np.array([atoms.info[keys.REF_ENERGY] / len(atoms) for atoms in labelled])


def _shift_errors(labels: dict[str, list[Atoms]]) -> dict[str, np.ndarray]:
    """ERRORS in eV/atom and eV/A of each system, whose first sheet is the one that is not shifted, and of all."""
    found = {}
    for system, sheets in labels.items():
        forces = np.stack([atoms.arrays[keys.REF_FORCES] for atoms in sheets])
        found[system] = np.array([np.ptp(_per_atom(sheets)), np.nan, np.abs(forces[1:] - forces[0]).mean()])
    return {**found, keys.ALL_FAMILIES: np.mean(list(found.values()), axis=0)}


def _errors(labels: dict[str, list[Atoms]], best: dict[str, list[Atoms]]) -> dict[str, np.ndarray]:
    """ERRORS in eV/atom and eV/A of each system and of all."""
    sheets = [atoms for system in labels for atoms in labels[system]]
    exact = [atoms for system in labels for atoms in best[system]]
    change = _per_atom(sheets) - _per_atom(exact)
    elements = sorted({number for atoms in sheets for number in atoms.numbers})
    counts = np.array([[np.count_nonzero(atoms.numbers == element) for element in elements] for atoms in sheets])
    left = beside_elements(change, counts)
    forces = np.array(
        [
            np.abs(atoms.arrays[keys.REF_FORCES] - other.arrays[keys.REF_FORCES]).mean()
            for atoms, other in zip(sheets, exact, strict=True)
        ]
    )
    owner = np.repeat(list(labels), [len(labels[system]) for system in labels])
    found = {}
    for system in labels:
        here = owner == system
        across = np.sqrt(np.mean(left[here] ** 2))
        found[system] = np.array([difference_error(change[here]), across, forces[here].mean()])
    within = np.sqrt(np.mean([errors[0] ** 2 for errors in found.values()]))
    return {**found, keys.ALL_FAMILIES: np.array([within, np.sqrt(np.mean(left**2)), forces.mean()])}
