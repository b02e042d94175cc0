"""Fill results/published from a run, and the README from that: nothing in either is typed by hand."""

import shutil
from collections.abc import Collection
from pathlib import Path

from extensive.errors import InputError
from extensive.evaluation.claims import CLAIMS, SEEDS_COLUMNS, markdown, read_claims
from extensive.evaluation.tables import read_table
from extensive.io import atomic_path, write_text

# What is published of a run, by folder. Labels are published by the reference stage, which owns the archive.
PATTERNS = {
    "models": ("*.pt", "*.json", "*-curve.csv"),
    "predictions": ("*.csv", "*-metrics.json"),
    "timings": ("*.csv", "*.json"),
    "figures": ("*.pdf", "*.png", "*.csv"),
    "tables": ("*.csv",),
}
# The CNN of the papers has 34 MB of weights, more than a repository should carry; what it predicts is published.
LARGEST_WEIGHTS_MB = 5
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


def publish(run: str | Path, published: str | Path, readme: str | Path, left_out: Collection[str] = ()) -> list[Path]:
    """Copy a finished run's results, each file whole or not at all, then put its claims into the README.

    Of models named in `left_out`, such as those that a study compares, neither weights nor predictions are copied; the
    study's table is. Files of an earlier publication that this run does not have are left alone: what took a cluster
    is not lost to a smaller run. Returns the files written. Raises InputError, before anything is written, for a run
    that has no claims table or for a README without markers.
    """
    run, published, readme = Path(run), Path(published), Path(readme)
    claims = run / "tables" / "claims.csv"
    if not claims.is_file():
        raise InputError(f"{claims}: no such file; finish the run before publishing it")
    missing = set(CLAIMS) - set(read_claims(claims)["claim"])
    if missing:
        raise InputError(f"{claims}: no row for {', '.join(sorted(missing))}")
    text = with_claims(readme, claims)
    others = tuple(f"{model}{end}" for model in left_out for end in (".", "-"))
    written = []
    for folder, patterns in PATTERNS.items():
        files = sorted({file for pattern in patterns for file in (run / folder).glob(pattern)})
        for file in files:
            if file.name.startswith("."):  # left behind by a job that was killed while it wrote
                continue
            if folder in ("models", "predictions") and file.name.startswith(others):
                continue
            if file.suffix == ".pt" and file.stat().st_size > LARGEST_WEIGHTS_MB * 1e6:
                continue
            target = published / folder / file.name
            with atomic_path(target) as temporary:
                shutil.copyfile(file, temporary)
            written.append(target)
    write_text(readme, text)
    return written


def with_claims(readme: str | Path, claims: str | Path) -> str:
    """The README's text with the claims table between its markers, and what other seeds gave where that was studied."""
    text = Path(readme).read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{readme}: needs the lines {BEGIN} and {END}, once each, in this order")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    other = Path(claims).with_name("claims-seeds.csv")
    seeds = read_table(other, SEEDS_COLUMNS) if other.is_file() else None
    return f"{before}{BEGIN}\n{markdown(read_claims(claims), seeds)}{after}"
