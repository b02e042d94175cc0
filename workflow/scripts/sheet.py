"""Energy of the configured sheet, streamed."""

import sys
from pathlib import Path

from extensive.errors import InputError
from extensive.timing.networks import devices_for
from extensive.timing.sheet import sheet_of_config, write_sheet

checkpoint = Path(snakemake.params.checkpoint)
try:
    rows = []
    for device in devices_for(snakemake.params.device):
        partial = checkpoint.with_stem(f"{checkpoint.stem}-{device}")
        rows.append(sheet_of_config(snakemake.params.sheet, snakemake.input.model, device, partial))
    write_sheet(rows, snakemake.output[0])
    for partial in checkpoint.parent.glob(f"{checkpoint.stem}-*.json"):
        partial.unlink()
except InputError as error:
    sys.exit(f"sheet: {error}")
