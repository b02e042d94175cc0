"""Recompute a few archived labels; fail if any differs by more than the tolerance."""

import pandas as pd

from extensive.io import atomic_path
from extensive.reference import audit
from extensive.reference.archive import Archive
from extensive.reference.calculation import LabelFailed, Labeller
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.chunks import Store
from extensive.reference.settings import DFTSettings
from logged import logged

with logged(snakemake, LabelFailed, append=True):
    prepare_serial_process()
    settings, labels = DFTSettings.from_config(snakemake.params.dft), snakemake.params.labels
    drawn = []
    if snakemake.params.archive:
        archive = Archive(snakemake.params.archive)
        archive.refresh()
        drawn = audit.draw(archive, settings, labels["audit"], labels["audit_largest_atoms"], snakemake.params.seed)
    own = min(labels["audit_own_sums"], len(drawn))
    rows = []
    for part, own_sums in ((drawn[:own], True), (drawn[own:], False)):
        # Finished ones are kept on disk; without the archive, so that each is computed.
        folder = f"{snakemake.params.store}{'-own-sums' if own_sums else ''}"
        labeller = Labeller(settings, own_sums=own_sums)
        rows += audit.compare(part, Store(folder, None, settings, [], labeller).label)
    audit.check(rows, labels["audit_tolerance_meV_per_atom"])
    with atomic_path(snakemake.output[0]) as temporary:
        pd.DataFrame(rows, columns=audit.AUDIT_COLUMNS).to_csv(temporary, index=False)
