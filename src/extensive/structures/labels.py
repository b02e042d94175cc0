"""Labels of users' files: which key holds the energy, which column the forces, and whether they can be meant.

By default `REF_energy` and `REF_forces`, then what the file itself calls energy, free_energy and forces. Where a label
is missing, the line names the keys and columns that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import note
from extensive.structures.bonds import OVERLAP_A
from extensive.structures.frame import check_no_chain, frame_of
from extensive.structures.stress import stress_of

# No bound atom lies so far from the energy of free atoms; totals in Hartree, kcal/mol or meV are told apart by
# forces only, so this bound is wide.
LARGEST_ENERGY_EV_PER_ATOM = 1e5
LARGEST_FORCE_EV_PER_A = 1e3
# Free energy and energy are told apart in the log beyond this, eV.
SAME_ENERGY_EV = 1e-6
# Free atoms of one element that differ by more are of two methods.
SAME_FREE_ATOM_EV = 1e-3
# A median absolute deviation times this is the standard deviation of a normal distribution.
DEVIATION = 1.4826
# Deviations from the fit below these are no outliers, however alike the others are: eV/atom and eV/Angstrom.
LEAST_ENERGY_DEVIATION, LEAST_FORCE_DEVIATION = 0.01, 0.1
# Fewer frames have no spread to speak of.
FEWEST_FRAMES = 4
# How many eV a unit is that files come in by mistake.
OTHER_UNITS = {
    "Hartree": 27.211386,
    "Rydberg": 13.605693,
    "kcal/mol": 1 / 23.060548,
    "kJ/mol": 1 / 96.485332,
    "meV": 1e-3,
}
UNIT_TOLERANCE = 0.03
LEFT_OUT, REFERENCE = "leave-out", "reference"


@dataclass(frozen=True)
class LabelKeys:
    """Under which names a file's labels are; None takes the usual ones."""

    energy_key: str | None = None  # of the comment line (atoms.info)
    forces_key: str | None = None  # of the columns (atoms.arrays)
    stress_key: str | None = None  # of the comment line
    isolated_atoms: str = LEFT_OUT  # or REFERENCE: their energies are those per element


DEFAULT_KEYS = LabelKeys()


def keys_of(labels: Mapping[str, Any], own: Mapping[str, Any] | None) -> LabelKeys:
    """Names of labels by the configuration's `labels`, or a data set's `own`, which come first where it has some."""
    chosen = {**labels, **(own or {})}
    return LabelKeys(chosen["energy_key"], chosen["forces_key"], chosen["stress_key"], chosen["isolated_atoms"])


@dataclass(frozen=True)
class Outliers:
    """What is done about labels that lie far from the others."""

    outliers: str = "warn"  # or 'stop'
    outlier_z: float = 12.0  # robust z-score beyond which a frame is one


def with_labels(atoms: Atoms, named: LabelKeys, where: str) -> Atoms:
    """A copy with REF_energy, REF_forces and REF_stress where the file has them, and without its calculator.

    Raises InputError for a named key that is not there, naming those that are.
    """
    copy, results = atoms.copy(), dict(atoms.calc.results) if atoms.calc is not None else {}
    copy.calc = None
    energy = _energy(atoms, results, named.energy_key, where)
    if energy is not None:
        copy.info[keys.REF_ENERGY] = energy
    forces = _forces(atoms, results, named.forces_key, where)
    if forces is not None:
        copy.arrays[keys.REF_FORCES] = forces
    stress = stress_of(atoms, results, named.stress_key, where)
    if stress is not None:
        copy.info[keys.REF_STRESS] = stress
    return copy


def _energy(atoms: Atoms, results: dict[str, Any], key: str | None, where: str) -> Any:
    if key is not None:
        if key in atoms.info:
            return _number(atoms.info[key])
        if key in results:
            return _number(results[key])
        raise InputError(f"{where}: energy_key: {key!r} is not there{_found(_energy_names(atoms, results))}")
    if keys.REF_ENERGY in atoms.info:
        return _number(atoms.info[keys.REF_ENERGY])
    free, energy = results.get("free_energy"), results.get("energy")
    if energy == 0.0 and free in (None, 0.0) and np.any(results.get("forces", 0.0)):
        return None  # forces without an energy: what a reader put in its place is no label
    return _number(energy if free is None else free)


def _forces(atoms: Atoms, results: dict[str, Any], key: str | None, where: str) -> np.ndarray | None:
    if key is not None:
        found = atoms.arrays.get(key, results.get(key))
        if found is None:
            raise InputError(f"{where}: forces_key: {key!r} is not there{_found(_force_names(atoms, results))}")
    else:
        found = atoms.arrays.get(keys.REF_FORCES, results.get("forces"))
    try:
        return None if found is None else np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{where}: column {key or keys.REF_FORCES!r} holds no numbers, and so no forces") from None


def _number(value: Any) -> Any:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return value  # refused where it is checked


def _energy_names(atoms: Atoms, results: dict[str, Any]) -> list[str]:
    numbers = [key for key, value in atoms.info.items() if isinstance(value, int | float | np.number)]
    numbers += [key for key in ("energy", "free_energy") if key in results]
    likely = [key for key in numbers if "ener" in key.lower() or key.lower().startswith(("e_", "tot"))]
    return likely or numbers


def _force_names(atoms: Atoms, results: dict[str, Any]) -> list[str]:
    shaped = [key for key, values in atoms.arrays.items() if values.shape == (len(atoms), 3) and key != "positions"]
    shaped += [key for key in ("forces",) if key in results]
    return [key for key in shaped if "forc" in key.lower()] or shaped


def _found(names: Sequence[str], what: str = "", key: str = "") -> str:
    if not names:
        return "; the file has none that could be it" if not what else ""
    if not what:
        return f"; there are {', '.join(names)}"
    return f"; found {what} {names[0]!r}; set {key}: {names[0]}"


def no_energy(atoms: Atoms) -> str:
    """What is said of a structure without an energy: what there is instead."""
    others = [name for name in _energy_names(atoms, {}) if name != keys.REF_ENERGY]
    return f"no {keys.REF_ENERGY} (eV), energy or free_energy{_found(others, 'key', 'energy_key')}"


def no_forces(atoms: Atoms) -> str:
    """The same of forces."""
    others = [name for name in _force_names(atoms, {}) if name != keys.REF_FORCES]
    return f"no {keys.REF_FORCES} (eV/Angstrom) or forces{_found(others, 'column', 'forces_key')}"


def say_which_energy(structures: Sequence[Atoms], named: LabelKeys, path: Any) -> None:
    """A line where a file has two energies that differ: forces are the gradient of the free one."""
    for atoms in structures:
        results = atoms.calc.results if atoms.calc is not None else {}
        if (
            named.energy_key is not None
            or keys.REF_ENERGY in atoms.info
            or not {"free_energy", "energy"} <= set(results)
        ):
            continue
        if abs(results["free_energy"] - results["energy"]) > SAME_ENERGY_EV:
            note(f"{path}: free_energy is taken, whose gradient forces are; `energy_key: energy` takes energy")
            return


def check_labels(structures: Sequence[Atoms], with_forces: bool) -> None:
    """Raise InputError for a label that is missing, not finite, or in other units than eV and eV/Angstrom."""
    for atoms in structures:
        name = atoms.info[keys.STRUCTURE_ID]
        frame = frame_of(atoms, name)
        check_no_chain(frame, f"structure {name}")
        if atoms.info.get(keys.REF_ENERGY) is None:
            raise InputError(f"{name}: {no_energy(atoms)}; a labelled file has an energy in every frame")
        if keys.REF_FORCES not in atoms.arrays and with_forces:
            raise InputError(f"{name}: {no_forces(atoms)}; add them or set training.forces_weight: 0 for the models")
        check_values(atoms, name)
        closest = float(frame.bonds.nearest.min())
        if closest < OVERLAP_A:
            raise InputError(
                f"{name}: two atoms are {closest:.3f} A apart; atoms overlap, or lengths are not in Angstrom"
            )


def check_values(atoms: Atoms, name: str) -> None:
    """Raise InputError for an energy or forces that are there, but not finite, of another shape or in other units."""
    energy: Any = atoms.info.get(keys.REF_ENERGY)
    if energy is not None:
        if not isinstance(energy, int | float | np.number) or not np.isfinite(energy):
            said = " ".join(repr(energy).split())  # an array's has several lines
            raise InputError(f"{name}: {keys.REF_ENERGY} is {said}; it must be a finite number, in eV")
        if abs(energy) / len(atoms) > LARGEST_ENERGY_EV_PER_ATOM:
            raise InputError(f"{name}: {keys.REF_ENERGY} is {energy / len(atoms):.3g} per atom; the unit must be eV")
    forces = atoms.arrays.get(keys.REF_FORCES)
    if forces is not None:
        if forces.shape != (len(atoms), 3) or not np.isfinite(forces).all():
            raise InputError(f"{name}: {keys.REF_FORCES} must be {len(atoms)} x 3 finite numbers, in eV/Angstrom")
        if np.abs(forces).max() > LARGEST_FORCE_EV_PER_A:
            raise InputError(
                f"{name}: a force of {np.abs(forces).max():.3g}; the unit must be eV/Angstrom (at most"
                f" {LARGEST_FORCE_EV_PER_A:g})"
            )


def add_free_atoms(known: dict[str, float], isolated: Sequence[Atoms], named: LabelKeys, path: Any) -> None:
    """Add the energies (eV) of isolated atoms to `known`, by element. InputError for none and for two that differ."""
    for atoms in isolated:
        symbol = str(atoms.symbols[0])
        energy = with_labels(atoms, LabelKeys(named.energy_key), f"{path}, an isolated {symbol}").info.get(
            keys.REF_ENERGY
        )
        if not isinstance(energy, float) or not np.isfinite(energy):
            raise InputError(
                f"{path}: an isolated {symbol} without an energy; labels.isolated_atoms: reference needs it"
            )
        if abs(known.setdefault(symbol, energy) - energy) > SAME_FREE_ATOM_EV:
            raise InputError(
                f"{path}: isolated {symbol} of {known[symbol]:.6g} and of {energy:.6g} eV; leave one, or set"
                " labels.isolated_atoms: leave-out"
            )


def look_for_outliers(structures: Sequence[Atoms], choice: Outliers) -> list[str]:
    """Lines on labels far from the others after a fit of energies per element, said or, with 'stop', raised.

    Raises InputError with the first line where `choice` says so.
    """
    lines = outliers(structures, choice.outlier_z)
    if lines and choice.outliers == "stop":
        raise InputError(f"{lines[0]}{f' ({len(lines)} such frames)' if len(lines) > 1 else ''}; labels.outliers: stop")
    for line in lines:
        note(f"{line}; learned from all the same (labels.outliers: warn)")
    return lines


def outliers(structures: Sequence[Atoms], threshold: float) -> list[str]:
    """One line for each frame whose energy (after the fit) or largest force has a robust z-score beyond `threshold`."""
    if len(structures) < FEWEST_FRAMES:
        return []
    energies = np.array([atoms.info[keys.REF_ENERGY] / len(atoms) for atoms in structures], dtype=float)
    fitted = _robust_fit(structures, energies)
    scores = _scores(energies - fitted, LEAST_ENERGY_DEVIATION)
    lines = [
        f"{atoms.info[keys.STRUCTURE_ID]}: energy {energy:.4f} eV/atom where its elements' fit is {expected:.4f}"
        f" (z-score {score:.0f}){_hint(energy, expected, len(atoms))}"
        for atoms, energy, expected, score in zip(structures, energies, fitted, scores, strict=True)
        if score > threshold
    ]
    with_forces = [atoms for atoms in structures if keys.REF_FORCES in atoms.arrays]
    if len(with_forces) >= FEWEST_FRAMES:
        largest = np.array([np.linalg.norm(a.arrays[keys.REF_FORCES], axis=1).max() for a in with_forces])
        lines += [
            f"{atoms.info[keys.STRUCTURE_ID]}: its largest force is {force:.3g} eV/A, of most frames"
            f" {np.median(largest):.3g} (z-score {score:.0f})"
            for atoms, force, score in zip(with_forces, largest, _scores(largest, LEAST_FORCE_DEVIATION), strict=True)
            if score > threshold
        ]
    return lines


def _robust_fit(structures: Sequence[Atoms], energies: np.ndarray) -> np.ndarray:
    """Energies per atom (B,) by elements, fitted to most frames: least squares, again without those far off."""
    elements = sorted({int(number) for atoms in structures for number in np.unique(atoms.numbers)})
    shares = np.array([[np.mean(atoms.numbers == number) for number in elements] for atoms in structures])
    weights = np.ones(len(structures))
    fitted = np.full(len(structures), np.median(energies))
    for _ in range(20):
        residuals = np.abs(energies - fitted)
        scale = max(DEVIATION * float(np.median(residuals)), LEAST_ENERGY_DEVIATION)
        weights = 1.0 / np.maximum(1.0, (residuals / (2.0 * scale)) ** 2)
        solution = np.linalg.lstsq(shares * weights[:, None], energies * weights, rcond=1e-9)[0]
        fitted = shares @ solution
    return fitted


def _scores(values: np.ndarray, least: float) -> np.ndarray:
    middle = float(np.median(values))
    return np.abs(values - middle) / max(DEVIATION * float(np.median(np.abs(values - middle))), least)


def _hint(energy: float, expected: float, n_atoms: int) -> str:
    if energy == 0.0:
        return "; no energy?"
    ratio = energy / expected if expected else np.inf
    if abs(ratio * n_atoms - 1.0) < UNIT_TOLERANCE:
        return "; one energy per atom, where a total is needed?"
    if n_atoms > 1 and abs(ratio / n_atoms - 1.0) < UNIT_TOLERANCE:
        return "; are the others energies per atom, where totals are needed?"
    for unit, size in OTHER_UNITS.items():
        if abs(ratio * size - 1.0) < UNIT_TOLERANCE:
            return f"; in {unit}?"
    return "; an isolated atom?" if n_atoms == 1 else ""
