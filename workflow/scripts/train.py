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
        # Of data sets without labels they are empty.
        "image_files": [file for file in snakemake.input.get("images", []) if Path(file).stat().st_size],
        "checkpoints": snakemake.params.checkpoints,
        "known": snakemake.params.known,
    }
    launch(job, processes=snakemake.resources.get("gpu", 1))
