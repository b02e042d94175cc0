"""Make the images of one labelled data set."""

import contextlib
import sys

from extensive.errors import InputError
from extensive.images.files import write_images
from extensive.io import read_structures

try:
    with open(snakemake.log[0], "w") as log, contextlib.redirect_stderr(log):
        structures = read_structures(snakemake.input.structures)
        write_images(snakemake.output[0], structures, **snakemake.params.raster, progress=True)
except InputError as error:
    sys.exit(f"raster: {error}")
