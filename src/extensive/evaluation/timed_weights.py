"""Which weights were timed: a time and an error that are quoted side by side must be of one network."""

from pathlib import Path

from extensive.errors import InputError
from extensive.io import note, read_json

# Tables of timings of networks, each with the record of its hardware that says which weights were timed.
RECORDS = {
    "networks.csv": "networks-hardware.json",
    "sheet.csv": "sheet-hardware.json",
    "peers.csv": "peers-hardware.json",
}
WEIGHTS = "weights"
DIGITS = 8


def timed_weights(record: str | Path) -> dict[str, str]:
    """SHA-256 of the weights that were timed, by model; empty for a record that does not say, as older ones."""
    return dict(read_json(record).get(WEIGHTS) or {}) if Path(record).is_file() else {}


def said_of_weights(record: str | Path) -> str:
    """What a caption says of the weights that were timed."""
    found = timed_weights(record)
    names = ", ".join(f"{model} {digest[:DIGITS]}" for model, digest in found.items())
    return f"Timed weights: {names}." if names else "Which weights were timed is not recorded: earlier ones."


def check_timed_weights(run: str | Path, published: str | Path) -> None:
    """Raise InputError for timings that, published with this run, would not be of its weights.

    Those of the run must say of which weights they are. Those of an earlier publication, which stay where the run has
    none, must not say of others; where they do not say, a line is printed.
    """
    run, published = Path(run), Path(published)
    for table, name in RECORDS.items():
        own, earlier = run / "timings" / table, published / "timings" / table
        kept = not own.is_file()
        if kept and not earlier.is_file():
            continue
        record = (earlier if kept else own).with_name(name)
        found = timed_weights(record)
        if not found and kept:
            note(f"{earlier} stays, and does not say of which weights it is")
        elif not found:
            raise InputError(f"{record}: does not say which weights {table} is of; time them again")
        for model, digest in found.items():
            description = run / "models" / f"{model}.json"
            if kept and not description.is_file():
                continue
            weights = read_json(description)["weights_sha256"]
            if weights != digest:
                raise InputError(
                    f"{record}: {table} is of weights {digest[:DIGITS]} of {model}, and {weights[:DIGITS]} would be"
                    " published; time them again"
                )
