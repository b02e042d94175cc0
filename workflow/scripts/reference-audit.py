"""Recompute a few archived labels; fail if any differs by more than the tolerance."""

import pandas as pd

from extensive.io import atomic_path
from extensive.paths import LABELS
from extensive.reference import audit
from extensive.reference.archive import Archive
from extensive.reference.calculation import LabelFailed, prepare_serial_process
from extensive.reference.chunks import Store
from extensive.reference.settings import DFTSettings
from logged import logged

with logged(snakemake, LabelFailed, append=True):
    prepare_serial_process()
    settings, labels = DFTSettings.from_config(snakemake.params.dft), snakemake.params.labels
    archive = Archive(LABELS)
    archive.refresh()
    count = labels["audit"] if labels["archive"] else 0
    drawn = audit.draw(archive, settings, count, labels["audit_largest_atoms"], snakemake.params.seed)
    # Finished ones are kept on disk; without the archive, so that each is computed.
    rows = audit.compare(drawn, Store(snakemake.params.store, None, settings, []).label)
    audit.check(rows, labels["audit_tolerance_meV_per_atom"])
    with atomic_path(snakemake.output[0]) as temporary:
        pd.DataFrame(rows, columns=audit.AUDIT_COLUMNS).to_csv(temporary, index=False)
