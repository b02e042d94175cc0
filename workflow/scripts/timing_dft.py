"""Time one DFT energy, on one core or by several processes."""

import os

# Snakemake exports the rule's threads; a process of this timing has one core, whatever the rule reserves.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

from dataclasses import asdict

from extensive.io import write_json
from extensive.timing.dft import time_dft, time_dft_parallel
from extensive.timing.hardware import hardware_record
from logged import logged

with logged(snakemake):
    supercell = [int(n) for n in snakemake.wildcards.supercell.split("x")]
    hardware = hardware_record(with_torch=False)
    timed = (supercell, snakemake.params.dft, snakemake.params.repeats, snakemake.params.seed)
    ranks = snakemake.params.ranks
    row = time_dft(*timed) if ranks == 1 else time_dft_parallel(*timed, ranks, snakemake.resources.mpi)
    write_json(snakemake.output[0], {"row": asdict(row), "hardware": hardware})
