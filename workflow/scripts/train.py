"""Train one network on labelled sheets, on as many GPUs as the job was given."""

from pathlib import Path

from extensive.training.launch import launch
from logged import logged

with logged(snakemake):
    job = {
        "name": snakemake.wildcards.model,
        "model": snakemake.params.model,
        "structures": list(snakemake.input.structures),
        "splits": snakemake.input.splits,
        "path": Path(snakemake.output.weights).with_suffix(""),
        "curve": snakemake.output.curve,
        "device": snakemake.params.device,
        "image_files": list(snakemake.input.get("images", [])),
        "checkpoints": snakemake.params.checkpoints,
        "known": snakemake.params.known,
    }
    launch(job, processes=snakemake.resources.get("gpu", 1))
