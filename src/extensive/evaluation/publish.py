"""Fill results/published from a run, and docs/claims.md from that: nothing in either is typed by hand."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from extensive.errors import InputError
from extensive.evaluation.claims import CLAIMS, SEEDS_COLUMNS, markdown, read_claims
from extensive.evaluation.predictions import FOLDER as PREDICTIONS
from extensive.evaluation.predictions import errors_table, gathered, model_and_set, taught_models, write_predictions
from extensive.evaluation.tables import read_table
from extensive.evaluation.timed_weights import check_timed_weights
from extensive.io import atomic_path, write_text

# What is published of a run, by folder. Labels are published by the reference stage, which owns the archive.
PATTERNS = {
    "models": ("*.pt", "*.json", "*-curve.csv"),
    "timings": ("*.csv", "*.json"),
    "figures": ("*.pdf", "*.png", "*.csv"),
    "tables": ("*.csv",),
}
# The CNN of the papers has 34 MB of weights, more than a repository should carry; what it predicts is published.
LARGEST_WEIGHTS_MB = 5
# Tables whose column `source_file` names files of the run.
WITH_SOURCES = ("claims.csv", "claims-seeds.csv")
# What docs/claims.md says above its table.
PAGE = """# All claims

Each number that the papers claim, or that stands for one, beside ours. `snakemake publish` writes this page from
`results/published/tables/claims.csv` and `claims-seeds.csv`.

- C1 to C9 are the papers' claims, as [the README](../README.md#results) puts them in words.
  C10: figures `inputs` and `tiles` show what theirs do.
- "ours" is of the first of three trainings; "seeds" is the range over all three, with their number in brackets.
  An ensemble is the mean of the three.
- "set" is the [test set](methods.md#test-sets). Fused, tiled and shift average: [networks](methods.md#networks).
- Which file a number is from stands in the column `source_file` of `claims.csv`.

"""


def publish(
    run: str | Path, published: str | Path, page: str | Path | None = None, left_out: Collection[str] = ()
) -> list[Path]:
    """Copy a finished run's results, each file whole or not at all, then write its claims to `page` (None: nowhere).

    Of models named in `left_out`, such as those that a study compares, neither weights nor predictions are copied; the
    study's table is. The sets that a model predicted become one file (see `predictions`), so that all its rows are of
    the same weights. Files of an earlier publication that this run does not have are left alone: what took a cluster
    is not lost to a smaller run. Returns the files written below `published`. Raises InputError, before anything is
    written, for a run that has no claims table, and for timings of other weights than those published.
    """
    run, published = Path(run), Path(published)
    claims = run / "tables" / "claims.csv"
    if not claims.is_file():
        raise InputError(f"{claims}: no such file; finish the run before publishing it")
    missing = set(CLAIMS) - set(read_claims(claims)["claim"])
    if missing and page is not None:  # the page is of all claims
        raise InputError(f"{claims}: no row for {', '.join(sorted(missing))}")
    check_timed_weights(run, published)
    text = claims_page(claims)
    others = tuple(f"{model}{end}" for model in left_out for end in (".", "-"))
    predicted = [file for file in _shown(run / PREDICTIONS, "*.csv") if not file.name.startswith(others)]
    together = gathered(predicted)
    written = []
    for folder, patterns in PATTERNS.items():
        for file in _shown(run / folder, *patterns):
            if folder == "models" and file.name.startswith(others):
                continue
            if file.suffix == ".pt" and file.stat().st_size > LARGEST_WEIGHTS_MB * 1e6:
                continue
            target = published / folder / file.name
            with atomic_path(target) as temporary:
                if file.name in WITH_SOURCES:
                    _with_published_sources(file, temporary)
                else:
                    shutil.copyfile(file, temporary)
            written.append(target)
    for model, table in together.items():
        target = published / PREDICTIONS / f"{model}.csv"
        with atomic_path(target) as temporary:
            write_predictions(temporary, table)
        written.append(target)
    written.append(write_errors(published))
    if page is not None:
        write_text(page, text)
    return written


def _shown(folder: Path, *patterns: str) -> list[Path]:
    """Files of a run's folder by name, without what a job that was killed while it wrote left behind."""
    found = {file for pattern in patterns for file in folder.glob(pattern)}
    return sorted(file for file in found if not file.name.startswith("."))


def _with_published_sources(file: Path, target: Path) -> None:
    """Copy a table of claims; of a run's file of predictions (`source_file`) it then names the published one."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    for source in set(table["source_file"]):
        folder, name = source.rsplit("/", 1)
        if folder == PREDICTIONS:
            model, _ = model_and_set(name.removesuffix(".csv"))
            table.loc[table["source_file"] == source, "source_file"] = f"{folder}/{model}.csv"
    table.to_csv(target, index=False, lineterminator="\n")


def write_errors(published: Path) -> Path:
    """Write `tables/errors.csv` of all that is published of predictions, with five significant digits."""
    target = published / "tables" / "errors.csv"
    with atomic_path(target) as temporary:
        errors_table(published / PREDICTIONS).to_csv(temporary, index=False, float_format="%.5g")
    return target


def claims_page(claims: str | Path) -> str:
    """Text of docs/claims.md: the claims table, and what other seeds gave where that was studied.

    Networks that learned from labels by other networks are named above it, together with these.
    """
    other = Path(claims).with_name("claims-seeds.csv")
    seeds = read_table(other, SEEDS_COLUMNS) if other.is_file() else None
    students: dict[str, list[str]] = {}
    for model, by in taught_models(Path(claims).parents[1] / "models").items():
        students.setdefault("; ".join(by), []).append(f"`{model}`")
    said = [
        f"- {', '.join(models)} learned from labels that are not DFT's but by {by}." for by, models in students.items()
    ]
    return PAGE + "".join(f"{line}\n" for line in said) + "\n" * bool(said) + markdown(read_claims(claims), seeds)
