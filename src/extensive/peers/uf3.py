"""Ultra-fast force fields (Xie, Rupp and Hennig, npj Comput. Mater. 9, 162 (2023)): splines of pairs and triplets.

Fitted by the package uf3, which is linear least squares in the coefficients, with its default knots, cutoffs and
regularisation; evaluated by LAMMPS's pair style uf3.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path
from extensive.peers.lammps import Lammps
from extensive.peers.sheets import check_forces, with_height

NAME = "uf3"
# Sheets whose features are in memory at once: a row of some thousand columns for every component of every force.
BATCH = 8


def basis(elements: Sequence[str], settings: dict[str, Any]) -> Any:
    """The package's basis of cubic splines for elements: uniform knots, smooth at the cutoffs.

    Of a triplet the two sides at its centre reach `cutoff_triplets_A`, the third twice as far, on twice as many knots.
    """
    from uf3.data.composition import ChemicalSystem
    from uf3.representation.bspline import BSplineBasis

    system = ChemicalSystem(element_list=list(elements), degree=3)
    pairs, trios = system.interactions_map[2], system.interactions_map[3]
    side, knots = settings["cutoff_triplets_A"], settings["knots_triplets"]
    return BSplineBasis(
        system,
        r_max_map=dict.fromkeys(pairs, settings["cutoff_A"]) | {trio: [side, side, 2 * side] for trio in trios},
        resolution_map=dict.fromkeys(pairs, settings["knots"]) | {trio: [knots, knots, 2 * knots] for trio in trios},
    )


def fit(training: Sequence[Atoms], settings: dict[str, Any]) -> Any:
    """The package's model of labelled sheets, energies and forces weighted as settings['energy_weight'] says.

    As its fit_from_file does, but features go from batch to batch and never to a file.
    """
    from uf3.regression.least_squares import VarianceRecorder, WeightedLinearModel
    from uf3.representation.process import BasisFeaturizer

    elements = sorted({symbol for atoms in training for symbol in atoms.symbols})
    splines = basis(elements, settings)
    model, features = WeightedLinearModel(splines), BasisFeaturizer(splines)
    sums = list(model.initialize_gram_ordinate())
    spread = VarianceRecorder(), VarianceRecorder()
    for start in range(0, len(training), BATCH):
        table = features.evaluate(_table(training[start : start + BATCH], start), progress=None)
        names = table.index.unique(level=0)
        gram_e, gram_f, ordinate_e, ordinate_f = model.gram_from_df(table, names, *spread)
        sums = [total + part for total, part in zip(sums, (gram_e, gram_f, ordinate_e, ordinate_f), strict=True)]
        print(f"uf3: features of {min(start + BATCH, len(training))} of {len(training)} sheets", flush=True)
    gram_e, gram_f, ordinate_e, ordinate_f = sums
    # Both are weighed by their numbers and spreads; equal ones, as in a test of equal energies, have no spread.
    weights = [1 / part.n / max(float(part.std), 1e-9) for part in spread]
    model.fit_with_gram(
        *model.combine_weighted_gram(gram_e, gram_f, ordinate_e, ordinate_f, *weights, settings["energy_weight"])
    )
    return model


def _table(sheets: Sequence[Atoms], start: int) -> pd.DataFrame:
    """Labelled sheets as the package takes them: geometry, energy (eV), and a list of forces along each axis."""
    rows = {}
    for index, atoms in enumerate(sheets, start):
        sheet = with_height(atoms)
        forces = sheet.arrays.pop(keys.REF_FORCES)
        energy = sheet.info.pop(keys.REF_ENERGY)
        rows[f"sheet-{index}"] = dict(geometry=sheet, energy=energy, **dict(zip(("fx", "fy", "fz"), forces.T.tolist())))
    return pd.DataFrame.from_dict(rows, orient="index")


def train(training: Sequence[Atoms], settings: dict[str, Any], potential: str | Path, model: str | Path) -> None:
    """Fit labelled sheets; write LAMMPS's `potential` and the package's own `model` (JSON), which has more.

    Raises InputError if uf3 is not installed, or a sheet has no forces.
    """
    check_forces(training, NAME)
    try:
        import uf3  # noqa: F401 - what is imported later are its parts
    except ImportError:
        raise InputError("uf3 is not installed; baselines need the extra: envs/setup.sh bench") from None
    fitted = fit(training, settings)
    with atomic_path(model) as temporary:
        fitted.to_json(str(temporary))
    with atomic_path(potential) as temporary:
        temporary.write_text(in_lammps(fitted))


def in_lammps(model: Any) -> str:
    """A fitted model as LAMMPS's pair style uf3 reads it, without energies of elements, which it has no place for.

    Of each pair: cutoff, knots and coefficients. Of each triplet: those of the side opposite its centre first.
    """
    from uf3.regression.least_squares import arrange_coefficients

    splines = model.bspline_config
    solution = arrange_coefficients(model.coefficients, splines)
    trims = f"{splines.leading_trim} {splines.trailing_trim} uk"
    head = "#UF3 POT UNITS: metal DATE: none AUTHOR: extensive CITATION: none"
    lines = []
    for pair in splines.interactions_map[2]:
        knots = splines.knots_map[pair]
        lines += [head, f"2B {' '.join(pair)} {trims}", f"{_text([knots[-1]])} {len(knots)}", _text(knots)]
        lines += [str(len(solution[pair])), _text(solution[pair]), "#"]
    for trio in splines.interactions_map[3]:
        sides = splines.knots_map[trio][::-1]
        grid = splines.decompress_3B(solution[trio], trio)
        lines += [head, f"3B {' '.join(trio)} {trims}"]
        lines += [f"{_text(knots[-1] for knots in sides)} {' '.join(str(len(knots)) for knots in sides)}"]
        lines += [*(_text(knots) for knots in sides), " ".join(map(str, grid.shape))]
        lines += [*(_text(row) for plane in grid for row in plane), "#"]
    return "\n".join(lines) + "\n"


def _text(numbers: Any) -> str:
    return " ".join(f"{number:.17g}" for number in numbers)


class UF3(Lammps):
    """A fitted model: its file for LAMMPS, and the package's own, which has the energies of elements."""

    def __init__(self, potential: str | Path, model: str | Path) -> None:
        found = json.loads(Path(model).read_text())
        elements = found["element_list"]
        pair = ["pair_style uf3 3", f"pair_coeff * * {potential} {' '.join(elements)}"]
        super().__init__(NAME, pair, elements, {element: float(found["coefficients"][element]) for element in elements})
