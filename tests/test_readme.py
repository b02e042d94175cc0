"""The README holds no number that a file does not hold: each is looked up, and is that number rounded."""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import summary
from extensive.io import read_json

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "results/published"
README = (ROOT / "README.md").read_text()
CLAIMS = pd.read_csv(PUBLISHED / "tables/claims.csv", keep_default_na=False)
NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
# Numbers that are names or definitions and were not measured: cells, claims, versions, licences, papers, settings that
# stand in a configuration which the line names.
NAMES = (
    r"C\d+\b", r"\b60[- ]atom", r"60 atoms\b", r"43\.36 meV", r"\d+x\d+\b", r"\[[A-Z]\w+ et al\. \d{4}", r"[23]D\b",
    r"Python from \d\.\d+", r"35\.2 million atoms", r"\b2 cores", r"0\.1 eV",
)  # fmt: skip


def ours(quantity: str, part: str = "", column: str = "ours") -> float:
    """A cell of the published claims."""
    row = CLAIMS[(CLAIMS["quantity"] == quantity) & (CLAIMS["set"] == part)]
    assert len(row) == 1, (quantity, part)
    return float(row[column].iloc[0])


def papers(quantity: str, part: str = "") -> float:
    return ours(quantity, part, "paper")


def predicted(model: str, part: str) -> dict[str, float]:
    return summary(read_predictions(PUBLISHED / f"predictions/{model}.csv", part))


def described(model: str) -> dict:
    return read_json(PUBLISHED / f"models/{model}.json")["metadata"]


def noted(words: str) -> float:
    """The number before `words` in the notebook, where what was measured by hand is written down."""
    found = re.findall(rf"({NUMBER}) {re.escape(words)}", (ROOT / "docs/notebook.md").read_text())
    assert len(found) == 1, words
    return float(found[0])


MAE, CLOSE = "mean absolute error", "within 43.36 meV of DFT per 60 atoms"
# The README's words with {} for each number, and what the numbers are. A number after "about" is within 5 %.
TIED = [
    (
        "it is off by {} meV/atom and {} meV/A on average (test set)",
        [ours(f"EDNN {MAE}", "test"), ours(f"EDNN {MAE}, forces", "test")],
    ),
    (
        "it is off by {} meV/atom, and by up to {}.",
        [ours(f"EDNN {MAE} outside it", "extrapolation"), predicted("ednn", "extrapolation")["max_meV_per_atom"]],
    ),
    ("a Fermi-Dirac width of {} eV (about {} K)", [0.6, 0.6 / 8.617333e-5]),
    ("about {} minutes on 2 cores\nmake test", [noted("minutes of `make run`")]),
    ("networks are trained anew, the EDNN for about {} minutes", [noted("minutes on one core (59 samples a second)")]),
    ("The published EDNN learned from {} structures a second", [described("ednn")["samples_per_second"]]),
    ("at that rate {} take about {} minutes", [20000, 20000 / described("ednn")["samples_per_second"] / 60]),
    (
        "| C1 CNN, papers' recipe, correlated test | {} meV/atom | {} meV/atom |",
        [papers(f"CNN {MAE}", "test"), ours(f"CNN {MAE}", "test")],
    ),
    ("| C1 EDNN, correlated test | – | {} meV/atom |", [ours(f"EDNN {MAE}", "test")]),
    (
        "| C2 CNN, papers' recipe, independent dynamics | {} meV/atom | {} meV/atom |",
        [papers(f"CNN {MAE}", "independent-md"), ours(f"CNN {MAE}", "independent-md")],
    ),
    ("| C2 EDNN, independent dynamics | – | {} meV/atom |", [ours(f"EDNN {MAE}", "independent-md")]),
    (
        "| C3 EDNN within chemical accuracy (43.36 meV per 60 atoms), test | {} % | {} % |",
        [papers(f"EDNN {CLOSE}", "test"), ours(f"EDNN {CLOSE}", "test")],
    ),
    (
        "| C4 exponents of time in size: DFT, EDNN | {}, {} | {}, {} |",
        [
            *(papers("DFT scaling exponent"), papers("EDNN scaling exponent, fused")),
            *(ours("DFT scaling exponent"), ours("EDNN scaling exponent, fused")),
        ],
    ),
    (
        "| C5 EDNN, 60 atoms, fastest (bfloat16) | {} ms | {} ms |",
        [papers("EDNN, 60 atoms, CPU"), ours("EDNN, 60 atoms, CPU")],
    ),
    (
        "| C6 EDNN, 35.2 million atoms | {} min | {} min |",
        [papers("EDNN, time for the sheet, CPU"), ours("EDNN, time for the sheet, CPU")],
    ),
    (
        "| C7 CNN, energy of Lennard-Jones dimers in 2D, 3D | – | {}, {} meV |",
        [ours(f"CNN {MAE}, {d} dimers, energy", f"dimer-{d.lower()}") for d in ("2D", "3D")],
    ),
    *(
        (
            f"| C8 {network} inside, outside the range of training | – | {{}}, {{}} meV/atom |",
            [
                ours(f"{network} {MAE} inside the range", "interpolation"),
                ours(f"{network} {MAE} outside it", "extrapolation"),
            ],
        )
        for network in ("CNN", "EDNN")
    ),
    (
        "| C9 EDNN, Ising 8x8, 1024x1024 (median error; trained on 8x8) | – | {}, {} J per spin |",
        [ours(f"EDNN median absolute error, Ising {n}x{n}", f"ising-{n}") for n in (8, 1024)],
    ),
    (
        "energies alone of {} structures in {} samples",
        [described("cnn")["n_train"], described("cnn")["training"]["samples"]],
    ),
    ("with our recipe and forces gets to {} meV/atom", [ours(f"`cnn-forces` {MAE}", "test")]),
    ("{} % are within", [predicted("ednn-symmetric", "test")["within_per_cell_percent"]]),
    ("of larger cells all {} (", [predicted("ednn", "supercells")["count"]]),
    (
        "DFT was timed at four sizes, {} to {} atoms",
        list(pd.read_csv(PUBLISHED / "timings/dft.csv").n_atoms.agg(["min", "max"])),
    ),
]


def rounded(text: str, value: float, about: bool = False) -> bool:
    """Whether a number as it is written is `value` rounded to the digits that are shown, or `about` that, to 5 %."""
    written = Decimal(text.replace(",", ""))
    if about:
        return float(written) == pytest.approx(value, rel=0.05)
    return abs(Decimal(float(value)) - written) <= Decimal(10) ** written.as_tuple().exponent / 2


def pattern(words: str) -> re.Pattern:
    return re.compile(re.escape(words).replace(r"\{\}", f"({NUMBER})").replace(r"\ ", r"\s+"))


def test_a_number_is_held_to_the_digits_that_it_shows():
    assert rounded("0.47", 0.4715)
    assert not rounded("0.48", 0.4715)
    assert rounded("1.8e-4", 0.0001831)
    assert rounded("20,000", 20000)
    assert not rounded("92", 91.11)
    assert rounded("7,000", 6963, about=True)
    assert not rounded("8,000", 6963, about=True)


@pytest.mark.parametrize(("words", "values"), TIED, ids=[words[:40] for words, _ in TIED])
def test_each_number_is_a_rounding_of_one_in_a_file(words: str, values: Sequence[float]):
    found = pattern(words).findall(README)
    assert len(found) == 1, f"README.md: {words!r} is there {len(found)} times"
    texts = [found[0]] if isinstance(found[0], str) else list(found[0])
    abouts = [part.endswith("about ") for part in words.split("{}")]
    for text, value, about in zip(texts, values, abouts):
        assert rounded(text, value, about), f"README.md: {words!r} has {text} for {value}"


def test_no_number_of_the_readme_is_left_unchecked():
    text = README
    for words, _ in TIED:
        text = pattern(words).sub(" ", text)
    text = re.sub(r"^```.*?^```$", " ", text, flags=re.M | re.S)  # commands; their minutes are tied above
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)  # names of files, links
    for name in NAMES:
        text = re.sub(name, " ", text)
    assert not re.findall(rf"[^\n]*{NUMBER}[^\n]*", text)


def test_files_that_the_readme_names_as_sources_are_there():
    for name in re.findall(r"`((?:predictions|timings|models|tables)/[^`]+)`", README):
        assert (PUBLISHED / name).is_file(), name
