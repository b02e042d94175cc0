"""Join the chunks of one data set."""

from extensive.reference.chunks import gather
from logged import logged

with logged(snakemake):
    spec = snakemake.params.spec
    frames = spec["md"]["frames"] if spec["sampler"] == "md" else 1
    gather(
        snakemake.input.labelled,
        snakemake.input.failed,
        snakemake.output.labelled,
        snakemake.output.failed,
        expected=spec["count"] * frames,
        may_fail=snakemake.params.may_fail,
        leave_out=snakemake.params.leave_out,
    )
