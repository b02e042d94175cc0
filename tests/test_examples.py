"""The examples do what they say, on small sheets with untrained networks."""

import importlib
from pathlib import Path

import pytest
from own_models import write_model

from extensive import Calculator

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def vacancies(monkeypatch):
    """The example as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("vacancy_concentration")


@pytest.mark.parametrize("element", ["B", "N"])
def test_one_atom_is_missing_of_the_element_asked_for(vacancies, element):
    perfect, damaged = vacancies.sheets((4, 2), element)
    counts = [[atoms.get_chemical_symbols().count(symbol) for symbol in "BN"] for atoms in (perfect, damaged)]
    assert counts == [[16, 16], [16 - (element == "B"), 16 - (element == "N")]]


def test_a_vacancy_costs_an_extensive_network_the_same_in_any_cell(tmp_path, vacancies):
    calculator = Calculator(write_model(tmp_path / "tiny"), symmetric=True)
    costs = [vacancies.network_cost(calculator, *vacancies.sheets(cell, "B")) for cell in ((5, 3), (10, 3), (5, 6))]
    assert abs(costs[0]) > 0.1
    # To the pixels, whose number is rounded in each cell: what the network makes of their pitch differs by milli-eV.
    assert costs == pytest.approx([costs[0]] * 3, abs=0.01)
