"""Energy of the configured sheet, streamed, on as many GPUs as the job was given."""

from dataclasses import replace
from pathlib import Path

from extensive.io import write_json
from extensive.timing.hardware import hardware_record
from extensive.timing.networks import devices_for, weights_of
from extensive.timing.sheet import method_of, write_sheet
from extensive.timing.sheet_ranks import launch_sheet
from logged import logged

with logged(snakemake):
    checkpoint = Path(snakemake.params.checkpoint)
    rows, models = [], list(snakemake.input.models)
    for model in models:
        for device in devices_for(snakemake.params.device):
            partial = checkpoint.with_stem(f"{checkpoint.stem}-{Path(model).stem}-{device}")
            processes = snakemake.resources.get("gpu", 1) if device == "cuda" else 1
            row = launch_sheet(snakemake.params.sheet, model, device, partial, processes)
            rows.append(replace(row, method=method_of(model, models[0])))
    types = {f"{row.method} {row.device}": row.number_type for row in rows}
    record = {**hardware_record(), "weights": weights_of(models), "number_types": types}
    write_json(snakemake.output.hardware, record)
    write_sheet(rows, snakemake.output.table)
    # Those that a kill left half written too.
    for prefix in ("", ".tmp-*-"):
        for partial in checkpoint.parent.glob(f"{prefix}{checkpoint.stem}-*.json"):
            partial.unlink()
