"""Compute what a figure needs of images or networks."""

from extensive.figures import network_data
from logged import logged

with logged(snakemake):
    files = {name: path for name, path in snakemake.input.items() if name != "code"}
    if snakemake.rule == "figure_data_inputs":
        image = (snakemake.params.pixel_size_A, snakemake.params.sigma_A)
        network_data.write_inputs(files, snakemake.output[0], *image)
    elif snakemake.rule == "figure_data_kernel":
        network_data.write_kernel(files["weights"], files["structures"], snakemake.output[0])
    elif snakemake.rule == "figure_data_tiles":
        network_data.write_tiles(files["weights"], files["structures"], snakemake.output[0])
    else:
        models = dict(zip(snakemake.params.models, files["weights"], strict=True))
        network_data.write_networks(models, snakemake.output[0])
