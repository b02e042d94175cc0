"""Label one chunk of a data set, from the archive where it can be."""

import sys

from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.paths import LABELS
from extensive.reference import chunks
from extensive.reference.archive import Archive
from extensive.reference.calculation import prepare_serial_process
from extensive.reference.dynamics import Dynamics
from extensive.reference.parallel import ParallelLabeller
from extensive.reference.settings import DFTSettings

sys.stderr = open(snakemake.log[0], "a", buffering=1)  # noqa: SIM115 - for as long as the script runs
prepare_serial_process()
params, chunk = snakemake.params, int(snakemake.wildcards.chunk)
spec = params.spec
try:
    archive = Archive(LABELS) if params.archive else None
    dft, labeller = DFTSettings.from_config(params.dft), None
    if params.ranks > 1:
        labeller = ParallelLabeller(dft, params.ranks, snakemake.resources.mpi)
    store = chunks.Store(params.store, archive, dft, params.accept, labeller)
    structures = read_structures(snakemake.input.structures)
    members = chunks.chunk_members(structures, spec["sampler"], chunk, params.chunk_size)
    dynamics = Dynamics.from_config(spec["md"]) if spec["sampler"] == "md" else None
    labelled, failures = chunks.label_chunk(members, store, dynamics, params.seed)
    print(f"{len(labelled)} labels, {store.computed} computed, {len(failures)} failed", file=sys.stderr)
    chunks.write_failures(snakemake.output.failed, failures)
    write_structures(snakemake.output.labelled, labelled)
except InputError as error:
    sys.exit(f"label: {error}")
