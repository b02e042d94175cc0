"""Train one network on a file of images with energies, test and time it."""

from pathlib import Path

from extensive.evaluation.predict import write_evaluation
from extensive.timing.images import time_images
from extensive.training.image_files import train_on_images
from logged import logged

with logged(snakemake):
    params, out = snakemake.params, snakemake.output
    table = train_on_images(
        snakemake.wildcards.model,
        params.model,
        snakemake.input.images,
        params.splits,
        params.seed,
        Path(out.weights).with_suffix(""),
        out.curve,
        params.device,
        params.checkpoints,
    )
    write_evaluation(table, out.test, out.test_metrics)
    time_images(out.weights, snakemake.input.images, params.repeats, out.timings)
