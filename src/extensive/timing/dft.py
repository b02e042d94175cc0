"""Seconds of one DFT energy against the number of atoms, with the settings that labels are made with: on one core, and
by several processes (MPI) for the cells that labels are computed so for.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from extensive.errors import InputError
from extensive.io import read_json, write_json
from extensive.reference.arithmetic import faster_sums
from extensive.reference.calculator import iterate, prepare_serial_process
from extensive.reference.occupations import right_fermi_level
from extensive.reference.parallel import RanksFailed, irreducible_kpoints, join_ranks, run_ranks, split_ranks
from extensive.reference.settings import DFTSettings
from extensive.reference.start import begin
from extensive.structures.lattices import graphene
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import DISPLACEMENT_A, Timing, cells_of_atoms, median_seconds

WARMUP_CELLS = (1, 1)


def time_dft(supercell: Sequence[int], settings: dict[str, Any], repeats: int, seed: int, ranks: int = 1) -> Timing:
    """Time one single-point energy of graphene, `supercell` (nx, ny) rectangular 4-atom cells.

    `ranks` is the number of processes, all of which call this; 1 is a serial process.

    The k-points are those of the labels: every size samples the same states of the sheet (those of the 60-atom cell,
    folded), so that the energies are comparable and larger cells need fewer points. Set-up of the calculator is part
    of the time, as it is for a user; importing GPAW and the forces are not. One process does what labels do: the start
    from coarser k-points, and the sums of `reference.arithmetic`; several processes do GPAW's own.
    """
    if ranks == 1:
        prepare_serial_process()
    dft = DFTSettings.from_config(settings)
    rng = np.random.default_rng([seed, *supercell])

    def single_point(cells: tuple[int, int]) -> None:
        atoms = graphene(cells)
        atoms.info["supercell"] = np.array(cells)
        atoms.positions[:, :2] += DISPLACEMENT_A * rng.standard_normal((len(atoms), 2))
        split = split_ranks(ranks, irreducible_kpoints(atoms, dft)) if ranks > 1 else None
        with faster_sums(), right_fermi_level():
            calculator, _ = begin(atoms, dft, dft.mixer, dft.max_iterations, split)
            iterate(calculator)

    single_point(WARMUP_CELLS)
    cells = (int(supercell[0]), int(supercell[1]))
    n_atoms = len(graphene(cells))
    seconds, done = median_seconds(lambda: single_point(cells), repeats, warmup=0)
    return Timing("gpaw", "cpu", cells_of_atoms(n_atoms), n_atoms, seconds, done, ranks, hardware_label())


def time_dft_parallel(
    supercell: Sequence[int], settings: dict[str, Any], repeats: int, seed: int, ranks: int, launcher: str
) -> Timing:
    """The same by `ranks` processes that `launcher` (mpirun, srun --mpi=pmix) starts; their start is not counted.

    Raises InputError with the reason if it cannot be done.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "timing.json"
        job = {"supercell": list(supercell), "settings": settings, "repeats": repeats, "seed": seed}
        try:
            run_ranks(launcher, ranks, "extensive.timing.dft", {**job, "result": str(result)})
        except RanksFailed as error:
            raise InputError(f"timing of {supercell[0]}x{supercell[1]} cells: {error}") from None
        # A launcher may bind a rank to one core; the machine is that of the caller.
        return replace(Timing(**read_json(result)), hardware=hardware_label())


def main(path: str) -> None:
    """One rank of one parallel timing."""
    job = json.loads(Path(path).read_text())
    first = join_ranks(job["ranks"])
    row = time_dft(job["supercell"], job["settings"], job["repeats"], job["seed"], job["ranks"])
    if first:
        write_json(job["result"], asdict(row))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One rank of a DFT timing; started by the timing stage.")
    parser.add_argument("job")
    main(parser.parse_args().job)
