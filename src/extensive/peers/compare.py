"""Price and accuracy of the network beside the baselines: the same cores, the same sheets, the same test sets."""

import resource
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from ase import Atoms

from extensive import keys
from extensive.inference import Engine, RepeatedSource, stream_energy
from extensive.inference.blocks import torch_threads
from extensive.peers import mace, tersoff
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import CELLS_IN_MEMORY, Timing, cells_of_atoms, median_seconds, supercell_of_cells

EDNN, EDNN_FORCES = "ednn", "ednn-forces"
# Molecular-dynamics steps that are timed together where a single one is too short for the clock.
STEPS = 20
# Share of the free memory that a baseline may take: without a bound the system would end the whole job.
MEMORY_SHARE = 0.85


@dataclass(frozen=True)
class Settings:
    """`cells`: sizes in copies of the cell; a size that would take longer than `budget_s` by proportion is left out."""

    cells: Sequence[int]
    threads: int
    repeats: int
    budget_s: float


Prepare = Callable[[Atoms, int], Callable[[], object]]  # (cell, copies) to a call that is timed


def ednn_energy(engine: Engine) -> Prepare:
    """Energy by the engine, as `extensive sheet` and the scaling figure take it."""

    def prepare(cell: Atoms, n_cells: int) -> Callable[[], object]:
        nx, ny = supercell_of_cells(n_cells)
        if n_cells <= CELLS_IN_MEMORY:
            atoms = cell.repeat((nx, ny, 1))
            return lambda: engine.energy(atoms)
        return lambda: stream_energy(engine, RepeatedSource(cell, nx, ny))

    return prepare


def energy_and_forces(potential: Any) -> Prepare:
    """Energy and forces of a structure in memory, neighbours or image and all."""

    def prepare(cell: Atoms, n_cells: int) -> Callable[[], object]:
        atoms = cell.repeat((*supercell_of_cells(n_cells), 1))
        return lambda: potential.energy_and_forces(atoms)

    return prepare


def dynamics(potential: tersoff.Tersoff) -> Prepare:
    """Steps of molecular dynamics, as empirical potentials are used."""

    def prepare(cell: Atoms, n_cells: int) -> Callable[[], object]:
        potential.load(cell.repeat((*supercell_of_cells(n_cells), 1)))
        return lambda: potential.step(STEPS)

    return prepare


def time_method(method: str, prepare: Prepare, cell: Atoms, settings: Settings) -> tuple[list[Timing], str]:
    """Timings of ever larger sizes, and why it went no further ('' where it went all the way)."""
    rows: list[Timing] = []
    steps = STEPS if method in tersoff.POTENTIALS else 1
    for n_cells in sorted(settings.cells):
        n_atoms = len(cell) * n_cells
        if rows and rows[-1].seconds * n_atoms / rows[-1].n_atoms > settings.budget_s:
            return rows, f"{n_atoms} atoms would take longer than {settings.budget_s:g} s"
        try:
            call = prepare(cell, n_cells)
            with torch_threads(settings.threads):
                warmup = 2 if n_cells <= CELLS_IN_MEMORY else 1
                seconds, done = median_seconds(call, settings.repeats, warmup, budget_s=settings.budget_s)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return rows, f"{n_atoms} atoms need more memory than there is"
        rows.append(
            Timing(
                method, "cpu", cells_of_atoms(n_atoms), n_atoms, seconds / steps, done, settings.threads,
                hardware_label(),
            )
        )  # fmt: skip
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
    sets: dict[str, list[Atoms]],
    references_eV: dict[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Rows (keys.ACCURACY_COLUMNS) for every set. `references_eV` are added for each atom; of a potential that lacks
    elements, the sheets that it can be asked about are counted.
    """
    rows = []
    for name, structures in sets.items():
        known = [
            atoms for atoms in structures if set(atoms.symbols) <= set(getattr(potential, "elements", atoms.symbols))
        ]
        errors, forces, sizes = [], [], []
        for atoms in known:
            energy, force = potential.energy_and_forces(atoms)
            energy += sum((references_eV or {}).get(symbol, 0.0) for symbol in atoms.symbols)
            errors.append(abs(energy - atoms.info[keys.REF_ENERGY]) / len(atoms))
            forces.append(float(np.abs(force - atoms.arrays[keys.REF_FORCES])[:, :2].mean()))
            sizes.append(len(atoms))
        if known:
            numbers = (keys.MEV_PER_EV * np.mean(errors), keys.MEV_PER_EV * np.average(forces, weights=sizes))
            rows.append(dict(zip(keys.ACCURACY_COLUMNS, (method, name, len(known), *map(float, numbers)))))
    return rows


def summary(timings: Iterable[Timing], found: pd.DataFrame) -> pd.DataFrame:
    """One row for each method: microseconds per atom at each size, and errors on each set."""
    times = pd.DataFrame([vars(row) for row in timings])
    times["microseconds_per_atom"] = 1e6 * times["seconds"] / times["n_atoms"]
    wide = times.pivot(index="method", columns="n_atoms", values="microseconds_per_atom")
    wide.columns = [f"microseconds_per_atom_{size}" for size in wide.columns]
    methods = list(dict.fromkeys(times["method"]))
    for column, name in (
        ("count", "count"),
        ("mae_meV_per_atom", "mae_meV_per_atom"),
        (keys.FORCES_COLUMN, keys.FORCES_COLUMN),
    ):
        errors = found.pivot(index="method", columns="set", values=column)
        errors.columns = [f"{name}_{part}" for part in errors.columns]
        wide = wide.join(errors, how="left")
    return wide.reindex(methods).reset_index()


def compare(
    model: str | Path,
    mace_model: str | Path,
    cell: Atoms,
    training: Sequence[Atoms],
    sets: dict[str, list[Atoms]],
    settings: Settings,
    load: Callable[[str | Path], Any],
    report: Callable[[str], None] = print,
) -> tuple[list[Timing], pd.DataFrame, dict[str, str]]:
    """Timings, accuracies and, by method, why it went no further. `load` reads the network's model."""
    potential = load(model)
    fast, exact = (Engine(potential, dtype, "cpu", settings.threads) for dtype in ("auto", "float32"))
    rows, found, stopped = [], [], {}

    def add(method: str, prepare: Prepare) -> None:
        timed, reason = time_method(method, prepare, cell, settings)
        rows.extend(timed)
        for row in timed:
            report(f"{method}: {row.n_atoms} atoms, {1e6 * row.seconds / row.n_atoms:.3g} microseconds per atom")
        if reason:
            stopped[method] = reason
            report(f"{method}: {reason}")

    add(EDNN, ednn_energy(fast))
    add(EDNN_FORCES, energy_and_forces(exact))
    found += accuracy(EDNN_FORCES, exact, sets)
    for method in tersoff.POTENTIALS:
        baseline = tersoff.Tersoff(method, settings.threads)
        add(method, dynamics(baseline))
        known = [atoms for atoms in training if set(atoms.symbols) <= set(baseline.elements)]
        if known:
            energies = [baseline.energy_and_forces(atoms)[0] for atoms in known]
            found += accuracy(method, baseline, sets, tersoff.reference_energies(known, energies))
    with bounded_memory(), torch_threads(settings.threads):
        other = mace.Mace(mace_model)
        add(mace.NAME, energy_and_forces(other))
        found += accuracy(mace.NAME, other, sets)
    return rows, pd.DataFrame(found, columns=list(keys.ACCURACY_COLUMNS)), stopped
