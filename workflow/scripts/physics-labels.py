"""DFT's labels of one system of the physics table, relaxed by DFT where it is to be, from where a network left it."""

from extensive.io import read_structures, write_structures
from extensive.reference.archive import Archive
from extensive.reference.calculation import LabelFailed
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.chunks import Store
from extensive.reference.relaxation import most_relaxed, relax
from extensive.reference.settings import DFTSettings
from extensive.structures import physics
from logged import logged

with logged(snakemake, LabelFailed, append=True):
    prepare_serial_process()
    params, name = snakemake.params, snakemake.wildcards.system
    settings, archive = DFTSettings.from_config(params.dft), Archive(params.archive) if params.archive else None
    store = Store(params.store, archive, settings, params.accept)
    structures = [atoms for atoms in read_structures(snakemake.input.structures) if physics.system_of(atoms) == name]
    if name in physics.RELAXED:
        (start,) = structures
        # Where the archive has steps of it, the network's part is done.
        known = [
            atoms
            for atoms in (archive.dataset("physics") if archive else [])
            if physics.system_of(atoms) == name and archive.find(atoms, settings, params.accept) is not None
        ]
        labelled = relax(most_relaxed(known) if known else start, store.label, params.largest_force, params.steps)
    else:
        labelled = [store.label(atoms) for atoms in structures]
    print(f"{name}: {len(labelled)} labels, {store.computed} computed")
    write_structures(snakemake.output[0], labelled)
