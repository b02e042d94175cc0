"""Take a user's own labelled structures as a data set."""

from extensive.io import write_structures
from extensive.reference.chunks import write_failures
from extensive.structures.labels import Outliers, keys_of, look_for_outliers
from extensive.structures.user_files import read_labelled
from logged import logged

with logged(snakemake):
    spec, dataset = snakemake.params.spec, snakemake.wildcards.dataset
    labels = snakemake.params.labels
    named = keys_of(labels, spec.get("labels"))
    structures = read_labelled(
        snakemake.input.files, dataset, snakemake.params.with_forces, spec.get("family"), spec.get("sampler"), named
    )
    look_for_outliers(structures, Outliers(labels["outliers"], labels["outlier_z"]))
    write_structures(snakemake.output.structures, structures)
    write_structures(snakemake.output.labelled, structures)
    write_failures(snakemake.output.failed, [])
