"""The examples do what they say, on small sheets with untrained networks."""

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from own_models import write_model

from extensive import Calculator
from extensive.config import load_config
from extensive.models import ModelConfig, load_model
from extensive.structures import defects
from extensive.structures.lattices import graphene
from extensive.training.charges import missing_neighbours

ROOT = Path(__file__).resolve().parents[1]
published = pytest.mark.skipif(
    not (ROOT / "results/published/models/ednn.pt").is_file(), reason="no model has been published yet"
)


@pytest.fixture
def example(monkeypatch):
    """An example of a name as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module


@published
def test_the_network_of_the_fine_tuning_example_is_the_published_one():
    model = load_config(ROOT / "examples/fine-tuning.yaml")["models"]["ednn"]
    published_model = load_model(ROOT / model["training"]["initial_weights"])
    assert ModelConfig.from_dict(model, "models.ednn") == published_model.config


@pytest.fixture
def stone_wales(example):
    return example("stone_wales")


@pytest.fixture
def vacancies(example):
    return example("vacancy_concentration")


@pytest.fixture
def stripes(example):
    return example("stripe_edges")


def test_a_stone_wales_defect_is_relaxed_and_moved(tmp_path, stone_wales):
    atoms = defects.stone_wales(graphene((4, 3)), 2.46, np.random.default_rng(0))
    atoms.calc = Calculator(write_model(tmp_path / "tiny"), device="cpu", extrapolate=True)
    assert stone_wales.relax(atoms, steps=3) > 0
    assert abs(stone_wales.dynamics(atoms, 10)) < 100


@pytest.mark.medium
@published
def test_the_published_model_conserves_energy_in_dynamics(stone_wales):
    """The example on 60 atoms for 0.1 ps; docs/notebook.md has the drift of 960 atoms over 10 ps."""
    atoms = graphene((5, 3))
    atoms.calc = Calculator("ednn", device="cpu")
    drift = stone_wales.dynamics(atoms, 100)
    kinetic = 1000 * atoms.get_kinetic_energy() / len(atoms)
    assert kinetic > 10  # meV/atom, of which a tenth of a ps could have lost any part
    # A line through so short a run is uncertain by the oscillation of the integrator itself.
    assert abs(drift) < 1.0


@pytest.mark.parametrize("element", ["B", "N"])
def test_one_atom_is_missing_of_the_element_asked_for(vacancies, element):
    perfect, damaged = vacancies.sheets((4, 2), element)
    counts = [[atoms.get_chemical_symbols().count(symbol) for symbol in "BN"] for atoms in (perfect, damaged)]
    assert counts == [[16, 16], [16 - (element == "B"), 16 - (element == "N")]]


def test_a_vacancy_costs_an_extensive_network_the_same_in_any_cell(tmp_path, vacancies):
    calculator = Calculator(write_model(tmp_path / "tiny"), symmetric=True)
    costs = [
        vacancies.cost(calculator.get_potential_energy, *vacancies.sheets(cell, "B"))
        for cell in ((5, 3), (10, 3), (5, 6))
    ]
    assert abs(costs[0]) > 0.1
    # To the pixels, whose number is rounded in each cell: what the network makes of their pitch differs by milli-eV.
    assert costs == pytest.approx([costs[0]] * 3, abs=0.01)


@pytest.mark.parametrize(("radius_A", "removed", "edge"), [(1.6, 6, 6), (2.9, 12, 12), (4.0, 24, 12)])
def test_a_pore_is_cut_around_the_middle_of_a_hexagon(vacancies, radius_A, removed, edge):
    perfect, damaged = vacancies.pores((6, 4), radius_A)
    assert len(perfect) - len(damaged) == removed
    assert missing_neighbours(perfect) == 0
    assert missing_neighbours(damaged) == edge
    # As many atoms of perfect graphene are what it is compared with.
    assert vacancies.cost(len, perfect, damaged) == pytest.approx(0.0, abs=1e-12)


def test_every_row_and_every_edge_of_the_stripes_counts_as_often_with_a_minus(stripes):
    def counted(sheet):
        """How many atoms of each element there are, and how many bonds of each two elements, along y and else."""
        counts = Counter(sheet.get_chemical_symbols())
        for first, second, vector in zip(*neighbor_list("ijD", sheet, 1.6), strict=True):
            counts[(*sorted(sheet.symbols[[first, second]]), bool(abs(vector[0]) < 0.1))] += 1
        return counts

    tables = []

    def energy(sheet):
        tables.append(counted(sheet))
        return 0.0

    stripes.edge_interaction(energy, 16)
    two_alike, four_mixed = sum(tables[:2], Counter()), sum(tables[2:], Counter())
    assert {key: 2 * count for key, count in two_alike.items()} == dict(four_mixed)
    assert {("B", "C", True), ("B", "C", False), ("C", "N", True), ("C", "N", False)} <= set(two_alike)


@pytest.mark.medium
@published
def test_edges_beyond_its_context_interact_only_by_the_charge_that_they_share(stripes):
    # Of trained ones: where on the pixels a row lies matters to an untrained one.
    def interactions(model, rows):
        calculator = Calculator(model, symmetric=True, extrapolate=True)
        return [stripes.edge_interaction(calculator.get_potential_energy, n) for n in rows]

    # Edges are 19, 26 and 38 Angstrom apart. (sum q)^2 / (2 sum d), with the same charges and a softness that grows by
    # the same for each row: one over it is a straight line in the number of rows.
    near, middle, far = interactions("ednn", (36, 48, 72))
    assert far > 0.05
    assert 1 / middle == pytest.approx((2 / near + 1 / far) / 3, rel=0.02)
