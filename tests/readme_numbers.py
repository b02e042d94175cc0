"""Where each number of the README is from. `python tests/readme_numbers.py` writes them anew after a publication."""

import math
import re
from decimal import Decimal
from pathlib import Path

import pandas as pd

from extensive.evaluation.predictions import read_predictions
from extensive.evaluation.tables import errors, summary
from extensive.io import read_json
from extensive.keys import FORCES_COLUMN

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


def forces(model: str, part: str) -> float:
    """Mean absolute error of forces, meV/Angstrom."""
    return errors(read_predictions(PUBLISHED / f"predictions/{model}.csv", part))[FORCES_COLUMN]


def microseconds(model: str) -> float:
    """Per atom of the largest sheet, on the processor."""
    table = pd.read_csv(PUBLISHED / "timings/sheet.csv")
    row = table[table["method"] == f"{model}-streamed"].sort_values("n_atoms").iloc[-1]
    return 1e6 * row["seconds"] / row["n_atoms"]


def at_scale(model: str, part: str) -> pd.DataFrame:
    """Predictions of a CNN that learned frames of dynamics from a teacher."""
    return read_predictions(PUBLISHED / f"papers-scale/predictions/{model}.csv", part)


def error_of_means(table: pd.DataFrame) -> float:
    """Mean absolute error, meV/atom, of giving each frame the mean energy of its trajectory's frames."""
    energies = 1e3 * table["energy_dft_eV"] / table["n_atoms"]
    trajectory = table["structure_id"].str.replace(r"-f\d+$", "", regex=True)
    return (energies - energies.groupby(trajectory).transform("mean")).abs().mean()


(DFT_EXPONENT,) = (
    fit for fit in read_json(PUBLISHED / "timings/exponents.json")["fits"] if fit["method"].startswith("gpaw")
)
PHYSICS = pd.read_csv(PUBLISHED / "tables/physics.csv").set_index("quantity")[["dft", "network"]]
SCALED = read_json(PUBLISHED / "papers-scale/models/cnn.json")["metadata"]
MAE, CLOSE = "mean absolute error", "within 43.36 meV of DFT per 60 atoms"
# The README's words with {} for each number, and what the numbers are. A number after "about" is within 5 %.
TIED = [
    (
        "the test set, {} sheets and frames like those of training, it is off by {} meV/atom and {} meV/A on average",
        [predicted("ednn", "test")["count"], ours(f"EDNN {MAE}", "test"), ours(f"EDNN {MAE}, forces", "test")],
    ),
    ("inside the range of training, it is off by {} meV/atom", [ours(f"EDNN {MAE} inside the range", "interpolation")]),
    (
        "{} sheets in hexagonal cells are off by {} meV/atom, {} in chiral cells by {} (",
        [
            predicted("ednn", part)[key]
            for part in ("hexagonal-cells", "chiral-cells")
            for key in ("count", "mae_meV_per_atom")
        ],
    ),
    (
        "A vacancy in graphene costs {} eV by DFT and {} by the network. Lattice constants of graphene and hBN agree"
        " to {}",
        [
            *PHYSICS.loc["vacancy in graphene"],
            PHYSICS.filter(like="lattice constant", axis=0).diff(axis=1)["network"].abs().max(),
        ],
    ),
    (
        "the {} % interval of {} is {} to {}.",
        [
            95,
            *(DFT_EXPONENT[key] for key in ("exponent", "exponent_low", "exponent_high")),
        ],
    ),
    (
        "it is off by {} meV/atom, and by up to {}.",
        [ours(f"EDNN {MAE} outside it", "extrapolation"), predicted("ednn", "extrapolation")["max_meV_per_atom"]],
    ),
    (
        "It learned from {} labels of this kind, after {} cheaper ones of electrons at about {} K",
        [described("ednn")["n_train"], described("ednn-first")["n_train"], 0.6 / 8.617333e-5],
    ),
    (
        "takes {} microseconds an atom of a large sheet, where `ednn` takes {}, and is off by {} meV/atom and {} meV/A",
        [
            microseconds("ednn-fast"),
            microseconds("ednn"),
            predicted("ednn-fast", "test")["mae_meV_per_atom"],
            forces("ednn-fast", "test"),
        ],
    ),
    (
        "about {} minutes on 2 cores, with {} GB of memory\nmake test",
        [noted("minutes of `make run`"), noted("GB, a label of 60 atoms")],
    ),
    ("about {} hours on 2 cores; can be stopped", [noted("hours of `config/published.yaml` on two cores")]),
    ("Networks are trained anew, the EDNN for about {} minutes", [noted("minutes on one core (78 samples a second)")]),
    ("The published EDNN learned from {} structures a second", [described("ednn")["samples_per_second"]]),
    ("at that rate {} take about {} minutes", [20000, 20000 / described("ednn")["samples_per_second"] / 60]),
    (
        "| C1 CNN, papers' recipe, test | {} meV/atom | {} meV/atom |",
        [papers(f"CNN {MAE}", "test"), ours(f"CNN {MAE}", "test")],
    ),
    (
        "frames that `ednn` labelled; frames held back, against `ednn` | {} meV/atom | {} meV/atom |",
        [papers(f"CNN {MAE}", "test"), summary(at_scale("cnn", "teacher-test"))["mae_meV_per_atom"]],
    ),
    (
        "frames that `ednn` labelled; independent dynamics, against DFT | {} meV/atom | {} meV/atom |",
        [papers(f"CNN {MAE}", "independent-md"), summary(at_scale("cnn", "independent-md"))["mae_meV_per_atom"]],
    ),
    (
        "On {} frames that `ednn` labelled, in {} samples,",
        [SCALED["n_train"], SCALED["training"]["samples"]],
    ),
    ("The means alone are off by {} meV/atom", [error_of_means(at_scale("cnn", "teacher-test"))]),
    (
        "| C2 the same; other independent dynamics, against `ednn` | {} meV/atom | {} meV/atom |",
        [
            papers(f"CNN {MAE}", "independent-md"),
            summary(at_scale("cnn", "teacher-independent-md"))["mae_meV_per_atom"],
        ],
    ),
    (
        "has not met are off by {} meV/atom against DFT, by {} against `ednn`",
        [
            summary(at_scale("cnn", part).query("family == 'heterostructure'"))["mae_meV_per_atom"]
            for part in ("independent-md", "teacher-independent-md")
        ],
    ),
    (
        "it is off by {}, and with a rate of learning that falls it gets to {} as well",
        [summary(at_scale(name, "teacher-test"))["mae_meV_per_atom"] for name in ("cnn", "cnn-falling-rate")],
    ),
    ("| C1 EDNN, test | – | {} meV/atom |", [ours(f"EDNN {MAE}", "test")]),
    (
        "| C1 EDNN, mean of three trainings, test | – | {} meV/atom |",
        [predicted("ednn-symmetric-ensemble", "test")["mae_meV_per_atom"]],
    ),
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
    *(
        (f"| C5 {name}, 60 atoms | {{}} ms | {{}} ms |", [papers(quantity), ours(quantity)])
        for name, quantity in ((name, f"{name}, 60 atoms, CPU") for name in ("EDNN", "`ednn-fast`"))
    ),
    *(
        (f"| C6 {name}, 35.2 million atoms | {{}} min | {{}} min |", [papers(quantity), ours(quantity)])
        for name, quantity in ((name, f"{name}, time for the sheet, CPU") for name in ("EDNN", "`ednn-fast`"))
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
    ("{} % are within", [predicted("ednn-symmetric-ensemble", "test")["within_per_cell_percent"]]),
    (
        "so far: {} structures of `test`, {} of independent dynamics, {} larger cells, {} inside and {}",
        [
            predicted("ednn", part)["count"]
            for part in ("test", "independent-md", "supercells", "interpolation", "extrapolation")
        ],
    ),
    (
        "DFT was timed at four sizes, {} to {} atoms",
        list(pd.read_csv(PUBLISHED / "timings/dft.csv").n_atoms.agg(["min", "max"])),
    ),
]


def rounded(text: str, value: float, about: bool = False) -> bool:
    """Whether a number as it is written is `value` rounded to the digits that are shown, or `about` that, to 5 %."""
    written = Decimal(text.replace(",", ""))
    if about:
        return math.isclose(float(written), value, rel_tol=0.05)
    return abs(Decimal(float(value)) - written) <= Decimal(10) ** written.as_tuple().exponent / 2


def written_anew(text: str, value: float, about: bool = False) -> str:
    """The number `value` in the style of `text`: as many digits that count, a comma for thousands. What holds stays."""
    if rounded(text, value, about):
        return text
    mantissa = text.split("e")[0].replace(",", "").lstrip("-")
    digits = max(1, len(mantissa.replace(".", "").lstrip("0")))
    if "e" in text or 0 < abs(value) < 1e-3:
        power, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{power}e{int(exponent)}"
    if "." not in mantissa and abs(value) >= 10:
        return f"{round(value):,}" if abs(value) >= 10_000 else str(round(value))
    shown = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(shown)))) if shown else 0
    return f"{shown:.{decimals}f}"


def abouts(words: str) -> list[bool]:
    """For each number of `words` whether it is one after "about"."""
    return [part.endswith("about ") for part in words.split("{}")][:-1]


def pattern(words: str) -> re.Pattern:
    return re.compile(re.escape(words).replace(r"\{\}", f"({NUMBER})").replace(r"\ ", r"\s+"))


def filled(readme: str) -> str:
    """The README with the numbers that files hold now. Raises LookupError for words that it does not have once."""
    for words, values in TIED:
        found = list(pattern(words).finditer(readme))
        if len(found) != 1:
            raise LookupError(f"README.md: {words!r} is there {len(found)} times")
        for group, value, about in reversed(list(zip(range(1, len(values) + 1), values, abouts(words), strict=True))):
            start, end = found[0].span(group)
            readme = readme[:start] + written_anew(readme[start:end], value, about) + readme[end:]
    return readme


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text()))
