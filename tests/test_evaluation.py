"""Evaluation: predictions beside DFT, and numbers that mean what their names say."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.evaluation.predict import predict, write_evaluation
from extensive.evaluation.tables import metrics
from extensive.keys import FORCES_COLUMN
from extensive.models import ModelConfig, Potential, build_model


def table(errors_meV_per_atom, n_atoms, families=None) -> pd.DataFrame:
    n_atoms = np.asarray(n_atoms)
    energies = -9.0 * n_atoms
    return pd.DataFrame(
        {
            "structure_id": [f"a-{i:05d}" for i in range(len(n_atoms))],
            "family": families or ["graphene"] * len(n_atoms),
            "sampler": "rattle",
            "n_atoms": n_atoms,
            "energy_dft_eV": energies,
            "energy_predicted_eV": energies + 1e-3 * np.asarray(errors_meV_per_atom) * n_atoms,
        }
    )


def test_errors_are_per_atom_and_chemical_accuracy_is_of_totals():
    # 0.5 meV/atom is 30 meV of 60 atoms (within 43.36) but 120 meV of 240 (within four times 43.36).
    found = metrics(table([0.5, -1.0, 0.5], [60, 60, 240], ["graphene", "hbn", "hbn"]))
    assert found["mae_meV_per_atom"] == pytest.approx(2.0 / 3)
    assert found["max_meV_per_atom"] == pytest.approx(1.0)
    assert found["total_max_meV"] == pytest.approx(120.0)
    assert found["bias_meV_per_atom"] == pytest.approx(0.0, abs=1e-9)
    assert found["within_chemical_accuracy"] == pytest.approx(1 / 3)
    assert found["within_chemical_accuracy_per_60_atoms"] == pytest.approx(2 / 3)
    assert found["by_family"]["hbn"]["mae_meV_per_atom"] == pytest.approx(0.75)
    assert metrics(table([], [])) == {"count": 0}


@pytest.fixture
def potential() -> Potential:
    torch.manual_seed(0)
    config = ModelConfig(
        "ednn", "convolutional", channels=("B", "C", "N"), pixel_size_A=0.4, sigma_A=0.5, pitch_channels=True,
        stem=((8, 4, 2),), width=8, blocks=1, head=(8,), focus_px=2,
    )  # fmt: skip
    return Potential(build_model(config), {"B": -70.0, "C": -150.0, "N": -260.0}, 0.5)


def labelled(potential: Potential, shift_eV: float) -> list[Atoms]:
    """Structures whose labels are the potential's own, off by `shift_eV` and 0.1 eV/Angstrom."""
    rng = np.random.default_rng(0)
    structures = []
    for index, numbers in enumerate(([6] * 8, [5, 7] * 4, [6] * 6)):
        cell = [5.0 + 0.1 * index, 4.4, 10.0]
        positions = rng.random((len(numbers), 3)) * (cell[0], cell[1], 0.0) + (0, 0, 5.0)
        atoms = Atoms(numbers, positions, cell=cell, pbc=(True, True, False))
        atoms.info = {
            keys.STRUCTURE_ID: f"x-{index:05d}", keys.DATASET: "x", keys.FAMILY: "graphene", keys.SAMPLER: "rattle",
        }  # fmt: skip
        energies, forces = potential.energies_and_forces([atoms])
        atoms.info[keys.REF_ENERGY] = float(energies[0]) - shift_eV
        atoms.arrays[keys.REF_FORCES] = forces[0] + 0.1
        structures.append(atoms)
    return structures


def test_predictions_are_the_potentials_in_the_order_given(potential, tmp_path):
    structures = labelled(potential, shift_eV=0.06)
    found = predict(potential, structures)
    assert tuple(found.columns[:6]) == keys.PREDICTION_COLUMNS
    assert list(found["structure_id"]) == ["x-00000", "x-00001", "x-00002"]
    np.testing.assert_allclose(found["energy_predicted_eV"] - found["energy_dft_eV"], 0.06, atol=1e-4)
    np.testing.assert_allclose(found[FORCES_COLUMN], 100.0, rtol=1e-3)
    write_evaluation(found, tmp_path / "p.csv", tmp_path / "p.json")
    numbers = json.loads((tmp_path / "p.json").read_text())
    # What stands in the JSON can be recomputed from the CSV.
    again = metrics(pd.read_csv(tmp_path / "p.csv"))
    assert numbers["mae_meV_per_atom"] == pytest.approx(again["mae_meV_per_atom"], rel=1e-4)
    assert numbers["total_mae_meV"] == pytest.approx(60.0, rel=1e-2)


def test_a_structure_without_a_label_is_refused(potential):
    structures = labelled(potential, 0.0)
    del structures[1].info[keys.REF_ENERGY]
    with pytest.raises(InputError, match="x-00001: no REF_energy"):
        predict(potential, structures)
