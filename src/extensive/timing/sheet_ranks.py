"""The papers' largest system on several GPUs: each process streams its own strips, and their energies are summed once.

torchrun --nproc-per-node 2 -m extensive.timing.sheet_ranks JOB.json
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from extensive.errors import InputError
from extensive.inference import Engine, stream_energy
from extensive.inference.stream import added, energy_of_sums
from extensive.io import read_json, write_json
from extensive.models import load_model
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import cells_of_atoms
from extensive.timing.sheet import SheetTiming, said_of, sheet_of_config, sheet_source
from extensive.training.ranks import Ranks
from extensive.training.torchrun import torchrun


def launch_sheet(
    section: dict[str, Any], model: str | Path, device: str, checkpoint: str | Path, processes: int = 1
) -> SheetTiming:
    """The sheet of the configuration's `sheet` section with so many processes on this machine: the row of sheet.csv.

    Strips do not depend on the number of processes, so neither does their sum, up to the order of its additions. Each
    process resumes from a file of its own beside `checkpoint`. Raises InputError if a process ends with an error.
    """
    if processes <= 1:
        return sheet_of_config(section, model, device, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        job = {"section": section, "model": model, "device": device, "checkpoint": checkpoint, "result": result}
        # The configured threads are divided among the processes; torchrun would set one for each.
        status = torchrun("extensive.timing.sheet_ranks", job, processes, max(1, section["threads"] // processes))
        if status:
            raise InputError(f"sheet: {processes} processes ended with {status}")
        return SheetTiming(**read_json(result))


def part_of_rank(job: dict[str, Any], ranks: Ranks) -> SheetTiming:
    """Strips of this rank, then all ranks' as one row: sums over tiles and memory added, the slowest's time."""
    section, device = job["section"], ranks.device(torch.device(job["device"]))
    source = sheet_source(section["blocks"], section["displacement_A"], section["seed"])
    threads = max(1, section["threads"] // ranks.size)
    engine = Engine(load_model(job["model"], device), section["dtype"], device, threads)
    checkpoint = Path(job["checkpoint"])
    own = checkpoint.with_stem(f"{checkpoint.stem}-rank{ranks.rank}")
    found = stream_energy(engine, source, own, progress=ranks.first, n_ranks=ranks.size, rank=ranks.rank)
    parts: list[Any] = [None] * ranks.size
    distributed.all_gather_object(parts, (found.sums_eV, found.n_atoms, found.seconds, found.peak_memory_GiB))
    sums, atoms, seconds, memory = zip(*parts)
    return SheetTiming(
        "ednn-streamed",
        device.type,
        cells_of_atoms(sum(atoms)),
        sum(atoms),
        max(seconds),
        1,
        threads * ranks.size,
        hardware_label(str(device)),
        round(sum(memory), 3),
        energy_of_sums(added(sums)),
        said_of(engine),
    )


def main(path: str) -> None:
    """One rank."""
    job = json.loads(Path(path).read_text())
    ranks = Ranks.join()
    row = part_of_rank(job, ranks)
    if ranks.first:
        write_json(job["result"], asdict(row))
    ranks.leave()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except InputError as error:
        sys.exit(f"sheet: {error}")
