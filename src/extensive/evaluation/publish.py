"""Fill results/published from a run, and docs/claims.md from that: nothing in either is typed by hand."""

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
# What docs/claims.md says above its table.
PAGE = """# All claims

Each number that the papers claim, or that stands for one, beside ours. `snakemake publish` writes this page from
`results/published/tables/claims.csv` and `claims-seeds.csv`; what is not typed by hand needs no proofreading.

- C1 to C10 are the papers' claims, as [the README](../README.md#results) puts them in words.
- "ours" is of the first of three trainings; "seeds" is the range over all three, with their number in brackets.
- Which file a number is from stands in the column `source_file` of `claims.csv`.

"""


def publish(run: str | Path, published: str | Path, page: str | Path, left_out: Collection[str] = ()) -> list[Path]:
    """Copy a finished run's results, each file whole or not at all, then write its claims to `page`.

    Of models named in `left_out`, such as those that a study compares, neither weights nor predictions are copied; the
    study's table is. Files of an earlier publication that this run does not have are left alone: what took a cluster
    is not lost to a smaller run. Returns the files written below `published`. Raises InputError, before anything is
    written, for a run that has no claims table.
    """
    run, published = Path(run), Path(published)
    claims = run / "tables" / "claims.csv"
    if not claims.is_file():
        raise InputError(f"{claims}: no such file; finish the run before publishing it")
    missing = set(CLAIMS) - set(read_claims(claims)["claim"])
    if missing:
        raise InputError(f"{claims}: no row for {', '.join(sorted(missing))}")
    text = claims_page(claims)
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
    write_text(page, text)
    return written


def claims_page(claims: str | Path) -> str:
    """Text of docs/claims.md: the claims table, and what other seeds gave where that was studied."""
    other = Path(claims).with_name("claims-seeds.csv")
    seeds = read_table(other, SEEDS_COLUMNS) if other.is_file() else None
    return PAGE + markdown(read_claims(claims), seeds)
