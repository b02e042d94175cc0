"""Energy of the configured sheet, streamed, on as many GPUs as the job was given."""

from pathlib import Path

from extensive.timing.networks import devices_for
from extensive.timing.sheet import write_sheet
from extensive.timing.sheet_ranks import launch_sheet
from logged import logged

with logged(snakemake):
    checkpoint = Path(snakemake.params.checkpoint)
    rows = []
    for device in devices_for(snakemake.params.device):
        partial = checkpoint.with_stem(f"{checkpoint.stem}-{device}")
        processes = snakemake.resources.get("gpu", 1) if device == "cuda" else 1
        rows.append(launch_sheet(snakemake.params.sheet, snakemake.input.model, device, partial, processes))
    write_sheet(rows, snakemake.output[0])
    # Those that a kill left half written too.
    for prefix in ("", ".tmp-*-"):
        for partial in checkpoint.parent.glob(f"{prefix}{checkpoint.stem}-*.json"):
            partial.unlink()
