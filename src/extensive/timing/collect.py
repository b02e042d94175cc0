"""One table, one record, one set of fits from what the timing jobs left."""

from collections.abc import Sequence
from pathlib import Path

from extensive.io import read_json, write_json
from extensive.timing.fits import write_exponents
from extensive.timing.measure import Timing, write_timings


def collect(
    dft_parts: Sequence[str | Path],
    networks_csv: str | Path,
    networks_hardware: str | Path,
    linear_from_atoms: int,
    *,
    dft_csv: str | Path,
    exponents_json: str | Path,
    hardware_json: str | Path,
) -> None:
    """Write dft.csv from the timings of single sizes, exponents.json and hardware.json."""
    parts = [read_json(part) for part in dft_parts]
    rows = sorted((Timing(**part["row"]) for part in parts), key=lambda row: (row.cores, row.n_atoms))
    write_timings(dft_csv, rows)
    write_exponents([dft_csv, networks_csv], exponents_json, linear_from_atoms)
    networks = read_json(networks_hardware)
    write_json(hardware_json, {"networks": networks, "dft": {_size(p["row"]): p["hardware"] for p in parts}})


def _size(row: dict) -> str:
    """Name of a DFT timing among others: its number of atoms and, where there are several, of processes."""
    return str(row["n_atoms"]) if row["cores"] == 1 else f"{row['n_atoms']} on {row['cores']} cores"
