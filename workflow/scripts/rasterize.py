"""Make the images of one labelled data set."""

from extensive.images.files import write_images
from extensive.io import read_structures, write_text
from logged import logged

with logged(snakemake):
    structures = read_structures(snakemake.input.structures)
    if structures:
        write_images(snakemake.output[0], structures, **snakemake.params.raster, progress=True)
    else:
        write_text(snakemake.output[0], "")  # as empty as the file of labels
