"""Time the networks against system size, and measure what speed costs in accuracy."""

from extensive.images.placement import rectangular
from extensive.io import atomic_path, read_structures, write_json
from extensive.timing.ceilings import measure_breakdown
from extensive.timing.hardware import hardware_record
from extensive.timing.measure import write_timings
from extensive.timing.networks import NetworkTimingSettings, time_networks, timing_cell, weights_of
from extensive.timing.precision import measure_precision
from logged import logged

with logged(snakemake):
    values = dict(snakemake.params.settings)
    values.pop("models"), values.pop("structure")
    settings = NetworkTimingSettings(**values)
    own = [rectangular(atoms) for path in snakemake.input.structures for atoms in read_structures(path)[:8]]
    cell = own[0] if own else timing_cell(snakemake.params.cell, snakemake.params.seed)
    rows = time_networks(snakemake.input.models, cell, settings, snakemake.params.device, progress=True)
    samples = own or [timing_cell(snakemake.params.cell, snakemake.params.seed + i) for i in range(1, 9)]
    precision = measure_precision(snakemake.input.models, samples, settings.dtypes)
    limits = measure_breakdown(snakemake.input.models, settings, snakemake.params.device)
    record = {**hardware_record(), "weights": weights_of(snakemake.input.models), **limits}
    write_json(snakemake.output.hardware, record)
    with atomic_path(snakemake.output.precision) as path:
        precision.to_csv(path, index=False)
    write_timings(snakemake.output.networks, rows)
