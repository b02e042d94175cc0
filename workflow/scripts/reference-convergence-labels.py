"""Labels of one point of the convergence study."""

from extensive.io import read_structures, write_structures
from extensive.reference import convergence
from extensive.reference.archive import Archive
from extensive.reference.calculation import LabelFailed
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.chunks import Store
from extensive.reference.settings import DFTSettings
from logged import logged

with logged(snakemake, LabelFailed, append=True):
    prepare_serial_process()
    params = snakemake.params
    point = convergence.points(params.study, DFTSettings.from_config(params.dft))[int(snakemake.wildcards.point)]
    archive = Archive(params.archive) if params.archive else None
    store = Store(params.store, archive, point.settings, params.accept)
    labelled = []
    for path, dataset in zip(snakemake.input.structures, params.datasets):
        if dataset not in point.datasets:
            continue
        structures = read_structures(path)[: params.study["structures"]]
        labelled += [
            store.label(convergence.as_member(name, atoms)) for name, atoms in convergence.jobs(point, structures)
        ]
    write_structures(snakemake.output[0], labelled)
