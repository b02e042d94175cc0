"""Label one chunk of a data set by trained networks."""

from extensive.io import read_structures, write_structures
from extensive.reference.chunks import chunk_members, write_failures
from extensive.reference.dynamics import Dynamics
from extensive.teaching.chunks import teach_chunk
from extensive.teaching.teacher import Teacher
from logged import logged

with logged(snakemake, append=True):
    params, chunk = snakemake.params, int(snakemake.wildcards.chunk)
    spec = params.spec
    weights = [path for path in snakemake.input.teachers if path.endswith(".pt")]
    teacher = Teacher(weights, spec["teacher"]["shift_average"])
    structures = read_structures(snakemake.input.structures)
    members = chunk_members(structures, spec["sampler"], chunk, params.chunk_size)
    dynamics = Dynamics.from_config(spec["md"]) if spec["sampler"] == "md" else None
    labelled = teach_chunk(members, teacher, params.store, dynamics, params.seed)
    print(f"{len(labelled)} labels by {teacher.name}")
    # Networks label all that they know; the table is there for the rule that joins the chunks.
    write_failures(snakemake.output.failed, [])
    write_structures(snakemake.output.labelled, labelled)
