"""Time and judge the network and its peers in one run."""

import sys
import warnings

# MACE's libraries warn of their own future at every import.
warnings.filterwarnings("ignore")

from extensive.errors import InputError  # noqa: E402
from extensive.io import atomic_path, read_json, read_structures, write_json  # noqa: E402
from extensive.keys import STRUCTURE_ID, TRAIN  # noqa: E402
from extensive.models import load_model  # noqa: E402
from extensive.peers import compare  # noqa: E402
from extensive.timing.hardware import hardware_record  # noqa: E402
from extensive.timing.measure import write_timings  # noqa: E402
from extensive.timing.networks import timing_cell  # noqa: E402

sys.stderr = open(snakemake.log[0], "a", buffering=1)  # noqa: SIM115 - for as long as the script runs
params, output = snakemake.params, snakemake.output
splits = read_json(snakemake.input.splits)
structures = {atoms.info[STRUCTURE_ID]: atoms for path in snakemake.input.structures for atoms in read_structures(path)}
members = {part: [structures[name] for name in splits[part] if name in structures] for part in [TRAIN, *params.sets]}
training = members.pop(TRAIN)
try:
    rows, accuracy, stopped = compare.compare(
        snakemake.input.model,
        snakemake.input.mace,
        timing_cell(params.cell, params.seed),
        training,
        members,
        compare.Settings(**params.settings),
        load_model,
        report=lambda line: print(line, flush=True),
    )
    write_timings(output.timings, rows)
    for table, path in ((accuracy, output.accuracy), (compare.summary(rows, accuracy), output.summary)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    write_json(output.hardware, {**hardware_record(), "went no further": stopped})
except InputError as error:
    sys.exit(f"peers: {error}")
