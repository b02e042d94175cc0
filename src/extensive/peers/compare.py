"""Price and accuracy of the networks beside the baselines: the same cores, the same sheets, the same test sets."""

import math
import resource
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from ase import Atoms

from extensive import keys
from extensive.inference.blocks import torch_threads
from extensive.peers import mace, tersoff
from extensive.peers.lammps import Lammps
from extensive.peers.networks import Network, Prepare
from extensive.peers.snap import Snap
from extensive.peers.uf3 import UF3
from extensive.structures.frame import frame_of
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import CELLS_IN_MEMORY, Timing, cells_of_atoms, median_seconds, supercell_of_cells

# A method's name says what was timed: energy alone, or with this the forces too. LAMMPS always computes both.
WITH_FORCES = "+forces"
# In which both the time and the error are: of the energy alone, and of forces, with which the energy is computed too.
NUMBER_TYPES = ("energy_number_type", "forces_number_type")
# Molecular-dynamics steps that are timed together where a single one is too short for the clock, for about so long.
STEPS, RUN_S = 20, 2.0
# Share of the free memory that a baseline may take: without a bound the system would end the whole job.
MEMORY_SHARE = 0.85


@dataclass(frozen=True)
class Settings:
    """`cells`: sizes in copies of the cell; a size that would take longer than `budget_s` by proportion is left out."""

    cells: Sequence[int]
    threads: int
    repeats: int
    budget_s: float


@dataclass(frozen=True)
class Files:
    """Trained models by name, and the files of the potentials that LAMMPS reads; None for one that is left out."""

    networks: Mapping[str, str | Path]
    mace: Mapping[str, str | Path]
    uf3: tuple[str | Path, str | Path] | None = None
    snap: tuple[str | Path, str | Path] | None = None


Measure = Callable[[Atoms, int], tuple[float, int]]  # (cell, copies) to median seconds and the number of repeats


def calls(prepare: Prepare, settings: Settings) -> Measure:
    """Time calls in this process, on the threads that the settings say."""

    def measure(cell: Atoms, n_cells: int) -> tuple[float, int]:
        call = prepare(cell, n_cells)
        with torch_threads(settings.threads):
            warmup = 2 if n_cells <= CELLS_IN_MEMORY else 1
            return median_seconds(call, settings.repeats, warmup, budget_s=settings.budget_s)

    return measure


def in_memory(evaluate: Callable[[Atoms], object]) -> Prepare:
    """Evaluate a structure in memory, neighbours or image and all."""

    def prepare(cell: Atoms, n_cells: int) -> Callable[[], object]:
        atoms = cell.repeat((*supercell_of_cells(n_cells), 1))
        return lambda: evaluate(atoms)

    return prepare


def dynamics(potential: Lammps, settings: Settings) -> Measure:
    """Time steps of molecular dynamics, as LAMMPS is used, on as many processes as others have threads."""
    per_atom_s = 0.0  # of the size before: one step of a large sheet is long enough for the clock

    def measure(cell: Atoms, n_cells: int) -> tuple[float, int]:
        nonlocal per_atom_s
        atoms = cell.repeat((*supercell_of_cells(n_cells), 1))
        expected = max(per_atom_s * len(atoms), 1e-9)
        steps = max(1, min(STEPS, int(RUN_S / expected)))
        repeats = max(1, min(settings.repeats, math.ceil(settings.budget_s / (expected * steps))))
        found = potential.step_seconds(atoms, steps, repeats, settings.threads, 10 * settings.budget_s)
        per_atom_s = statistics.median(found) / len(atoms)
        return statistics.median(found), repeats

    return measure


def time_method(method: str, measure: Measure, cell: Atoms, settings: Settings) -> tuple[list[Timing], str]:
    """Timings of ever larger sizes, and why it went no further ('' where it went all the way)."""
    rows: list[Timing] = []
    for n_cells in sorted(settings.cells):
        n_atoms = len(cell) * n_cells
        if rows and rows[-1].seconds * n_atoms / rows[-1].n_atoms > settings.budget_s:
            return rows, f"{n_atoms} atoms would take longer than {settings.budget_s:g} s"
        try:
            seconds, done = measure(cell, n_cells)
        except (MemoryError, RuntimeError) as error:
            said = str(error)
            if isinstance(error, RuntimeError) and "memory" not in said and not said.startswith("more time"):
                raise
            needs = said if said.startswith("more time") else "more memory than there is"
            return rows, f"{n_atoms} atoms need {needs}"
        rows.append(
            Timing(method, "cpu", cells_of_atoms(n_atoms), n_atoms, seconds, done, settings.threads, hardware_label())
        )
    return rows, ""


class bounded_memory:
    """Context: this process may take most of what is free, and is told so where it would take more."""

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_AS)
        process = psutil.Process().memory_info()
        bound = int(process.vms + MEMORY_SHARE * psutil.virtual_memory().available)
        resource.setrlimit(resource.RLIMIT_AS, (bound, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_AS, self._before)


def accuracy(
    method: str,
    potential: Any,
    sets: Mapping[str, list[Atoms]],
    references_eV: dict[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Rows (keys.ACCURACY_COLUMNS, then NUMBER_TYPES) for every set. `references_eV` are added for each atom; of a
    potential that lacks elements, the sheets that it can be asked about are counted. Errors of forces are of their
    components in the plane, NaN where no label of a set has any.
    """
    rows = []
    evaluate = getattr(potential, "as_timed", potential.energy_and_forces)
    number_types = getattr(potential, "number_types", (None, None))
    for name, structures in sets.items():
        if name in getattr(potential, "left_out", ()):
            continue
        known = [
            atoms for atoms in structures if set(atoms.symbols) <= set(getattr(potential, "elements", atoms.symbols))
        ]
        errors, forces, sizes = [], [], []
        for atoms in known:
            energy, force = evaluate(atoms)
            energy += sum((references_eV or {}).get(symbol, 0.0) for symbol in atoms.symbols)
            errors.append(abs(energy - atoms.info[keys.REF_ENERGY]) / len(atoms))
            if keys.REF_FORCES in atoms.arrays:
                wrong = frame_of(atoms).in_plane(force - atoms.arrays[keys.REF_FORCES])
                forces.append(float(np.abs(wrong).mean()))
                sizes.append(len(atoms))
        if known:
            mean_force = np.average(forces, weights=sizes) if forces else math.nan
            numbers = (float(keys.MEV_PER_EV * number) for number in (np.mean(errors), mean_force))
            values = (method, name, len(known), *numbers, *number_types)
            rows.append(dict(zip((*keys.ACCURACY_COLUMNS, *NUMBER_TYPES), values, strict=True)))
    return rows


def summary(
    timings: Iterable[Timing], found: pd.DataFrame, trainings: Mapping[str, Mapping[str, Any]] | None = None
) -> pd.DataFrame:
    """One row for each potential: microseconds per atom at each size, errors on each set, seconds of its training.

    Of the energy alone and with forces; both are the same for what LAMMPS evaluates. Trainings are by name, of what was
    trained here. Last are the number types of times and errors.
    """
    times = pd.DataFrame([vars(row) for row in timings])
    times["microseconds_per_atom"] = 1e6 * times["seconds"] / times["n_atoms"]
    base = times["method"].str.removesuffix(WITH_FORCES)
    # What has no row of its own with forces has them in the one that it has.
    both = times.assign(method=base)[(times["method"] != base) | ~base.isin(base[times["method"] != base])]
    parts = []
    for rows, ending in ((times[times["method"] == base], ""), (both, "_with_forces")):
        wide = rows.pivot(index="method", columns="n_atoms", values="microseconds_per_atom")
        wide.columns = [f"microseconds_per_atom_{size}{ending}" for size in wide.columns]
        parts.append(wide)
    for column in ("count", "mae_meV_per_atom", keys.FORCES_COLUMN):
        errors = found.pivot(index="method", columns="set", values=column)
        errors.columns = [f"{column}_{part}" for part in errors.columns]
        parts.append(errors)
    trained = pd.DataFrame.from_dict(dict(trainings or {}), orient="index", columns=["seconds", "cores"])
    parts.append(trained.add_prefix("training_"))
    parts.append(found.drop_duplicates("method").set_index("method").filter(NUMBER_TYPES))
    wide = pd.concat(parts, axis=1).reindex(list(dict.fromkeys(base)))
    return wide.rename_axis("method").reset_index()


def compare(
    files: Files,
    cell: Atoms,
    training: Sequence[Atoms],
    sets: Mapping[str, list[Atoms]],
    settings: Settings,
    load: Callable[[str | Path], Any],
    report: Callable[[str], None] = print,
) -> tuple[list[Timing], pd.DataFrame, dict[str, str]]:
    """Timings, accuracies and, by method, why it went no further. `load` reads a network's model."""
    rows, found, stopped = [], [], {}

    def add(method: str, measure: Measure, sizes: Sequence[int] | None = None) -> None:
        taken = Settings(sizes or settings.cells, settings.threads, settings.repeats, settings.budget_s)
        timed, reason = time_method(method, measure, cell, taken)
        rows.extend(timed)
        for row in timed:
            report(f"{method}: {row.n_atoms} atoms, {1e6 * row.seconds / row.n_atoms:.3g} microseconds per atom")
        if reason:
            stopped[method] = reason
            report(f"{method}: {reason}")

    for name, model in files.networks.items():
        network = Network(load(model), settings.threads)
        add(name, calls(network.energy, settings), network.sizes)
        add(name + WITH_FORCES, calls(in_memory(network.energy_and_forces), settings), network.sizes)
        found += accuracy(name, network, sets)
    for method in tersoff.POTENTIALS:
        baseline = tersoff.Tersoff(method)
        add(method, dynamics(baseline, settings))
        known = [atoms for atoms in training if set(atoms.symbols) <= set(baseline.elements)]
        if known:
            energies = [baseline.energy_and_forces(atoms)[0] for atoms in known]
            found += accuracy(method, baseline, sets, tersoff.reference_energies(known, energies))
    for potential, own in ((UF3, files.uf3), (Snap, files.snap)):
        if own:
            fitted = potential(*own)
            add(fitted.name, dynamics(fitted, settings))
            found += accuracy(fitted.name, fitted, sets)
    with bounded_memory(), torch_threads(settings.threads):
        for name, model in files.mace.items():
            other = mace.Mace(model)
            add(name, calls(in_memory(other.energy), settings))
            add(name + WITH_FORCES, calls(in_memory(other.energy_and_forces), settings))
            found += accuracy(name, other, sets)
    return rows, pd.DataFrame(found, columns=[*keys.ACCURACY_COLUMNS, *NUMBER_TYPES]), stopped
