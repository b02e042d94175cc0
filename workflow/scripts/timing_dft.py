"""Time one DFT energy."""

import contextlib
import os
import sys

# Snakemake exports the rule's threads; this is a timing of one core, whatever the rule reserves.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

from dataclasses import asdict

from extensive.errors import InputError
from extensive.io import write_json
from extensive.timing.dft import time_dft
from extensive.timing.hardware import hardware_record

try:
    with open(snakemake.log[0], "w") as log, contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
        supercell = [int(n) for n in snakemake.wildcards.supercell.split("x")]
        hardware = hardware_record(with_torch=False)
        row = time_dft(supercell, snakemake.params.dft, snakemake.params.repeats, snakemake.params.seed)
        write_json(snakemake.output[0], {"row": asdict(row), "hardware": hardware})
except InputError as error:
    sys.exit(f"timing: {error}")
