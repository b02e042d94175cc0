"""Label one chunk of a data set, from the archive where it can be."""

from extensive.io import read_structures, write_structures
from extensive.reference import chunks
from extensive.reference.archive import Archive
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.dynamics import Dynamics
from extensive.reference.parallel import ParallelLabeller
from extensive.reference.settings import DFTSettings
from logged import logged

with logged(snakemake, append=True):
    prepare_serial_process()
    params, chunk = snakemake.params, int(snakemake.wildcards.chunk)
    spec = params.spec
    # Where nothing is computed, what a data set lacks is not looked for among the labels of all others.
    datasets = [snakemake.wildcards.dataset] if params.leave_out else None
    archive = Archive(params.archive, datasets) if params.archive else None
    dft, labeller = DFTSettings.from_config(params.dft), None
    if params.ranks > 1:
        labeller = ParallelLabeller(dft, params.ranks, snakemake.resources.mpi)
    store = chunks.Store(params.store, archive, dft, params.accept, labeller, params.leave_out)
    structures = read_structures(snakemake.input.structures)
    members = chunks.chunk_members(structures, spec["sampler"], chunk, params.chunk_size)
    dynamics = Dynamics.from_config(spec["md"]) if spec["sampler"] == "md" else None
    labelled, failures = chunks.label_chunk(members, store, dynamics, params.seed)
    print(f"{len(labelled)} labels, {store.computed} computed, {len(failures)} failed")
    chunks.write_failures(snakemake.output.failed, failures)
    write_structures(snakemake.output.labelled, labelled)
