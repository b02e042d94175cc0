"""Stress as a label: read in any form, turned with the sheet, learned beside energies and forces, and judged."""

import numpy as np
import pandas as pd
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.stress import full_3x3_to_voigt_6_stress
from honeycombs import BOND_A, STIFFNESS, spring_labelled
from own_models import CNN, rattled, write_model
from test_frame import honeycomb, rotation_about, turned_whole
from typer.testing import CliRunner

from extensive import Calculator, keys
from extensive.cli.app import app
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.models import load_model
from extensive.structures.labels import LabelKeys
from extensive.structures.stress import strain_gradient_of
from extensive.structures.user_files import read_labelled
from extensive.training.augment import Augmentation, mirror, repeat, transpose
from extensive.training.data import ShapeRule, evaluation_batches, make_sheets, training_batches
from extensive.training.fit import train_model
from extensive.training.loop import group_errors
from extensive.training.rotate import choose_vectors, rotated

CHIRAL = [[3, 1], [-1, 4]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "upright", exchange=False)


def named(atoms, number):
    atoms.info |= {keys.STRUCTURE_ID: f"mine-{number:05d}", keys.DATASET: "mine", keys.SAMPLER: "rattle"}
    atoms.info |= {keys.FAMILY: "own", keys.PARENT: f"mine-{number:05d}"}
    return atoms


def springs(atoms, number=0):
    """Energy, forces and stress of springs between bonded atoms."""
    atoms, virial = spring_labelled(atoms)
    stress = full_3x3_to_voigt_6_stress(virial / atoms.get_volume())
    atoms.info[keys.REF_STRESS] = np.round(stress, 12)
    return named(atoms, number)


def strained_sheets(count):
    rng = np.random.default_rng(5)
    sheets = []
    for number in range(count):
        atoms = rattled((4, 2), seed=number) if number % 2 else honeycomb(CHIRAL, seed=number)
        strain = np.eye(3)
        strain[:2, :2] += 0.03 * rng.uniform(-1, 1, (2, 2))
        atoms.set_cell(atoms.cell.array @ strain if number % 2 == 0 else atoms.cell.array * np.diag(strain),
                       scale_atoms=True)  # fmt: skip
        sheets.append(springs(atoms, number))
    return sheets


def test_of_labels_that_are_the_networks_own_there_is_no_error(model):
    """Whatever the cell and the axes that they are given in; of several cells in one image too."""
    potential, calculator = load_model(model), Calculator(model, device="cpu", dtype="float64")
    structures = [rattled(), rattled(seed=2), honeycomb([[4, 0], [0, 4]]), honeycomb(CHIRAL)]
    structures += [turned_whole(sheet, rotation_about((1, 2, 1), 40.0)) for sheet in structures[2:]]
    for number, atoms in enumerate(structures):
        atoms.calc = calculator
        atoms.info |= {keys.REF_ENERGY: atoms.get_potential_energy(), keys.REF_STRESS: atoms.get_stress()}
        atoms.calc = None
        named(atoms, number)
    del structures[1].info[keys.REF_STRESS]
    sheets = make_sheets(structures, potential.reference_energies_eV, False, lay=potential.lay, with_stress=True)
    seen = 0
    for group in evaluation_batches(sheets, ShapeRule(potential.config.pixel_size_A, 2)):
        stress = group_errors(potential, group, training=False).stress
        known = ~stress.isnan().any(dim=1)
        seen += int(known.sum())
        assert stress[known].abs().max() < 1e-5
    assert seen == len(structures) - 1
    sizes = [np.abs(sheet.strain_gradient).max() for sheet in sheets if sheet.strain_gradient is not None]
    assert max(sizes) > 0.1


def spring_gradient(positions, vectors):
    """dE/d(strain) (2, 2) of springs between atoms (N, 2) with periods (2, 2)."""
    shifts = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3)]) @ vectors
    steps = (positions[None, :, None] - positions[:, None, None] + shifts).reshape(-1, 2)
    lengths = np.linalg.norm(steps, axis=1)
    steps, lengths = steps[(lengths > 0.1) & (lengths < 1.85)], lengths[(lengths > 0.1) & (lengths < 1.85)]
    return 0.5 * STIFFNESS * (steps * ((lengths - BOND_A) / lengths)[:, None]).T @ steps


def test_stress_turns_with_the_sheet(model):
    potential = load_model(model)
    upright, sheared = make_sheets(strained_sheets(2)[::-1], {"C": -9.0}, True, lay=potential.lay, with_stress=True)
    assert (upright.periods is None, sheared.periods is None) == (True, False)
    moved = [f(sheet) for sheet in (upright, sheared) for f in (lambda s: s, transpose, lambda s: mirror(s, 0))]
    moved.append(repeat(upright, 2, 1))
    for sheet in moved:
        vectors = np.diag(sheet.cell) if sheet.periods is None else sheet.periods @ sheet.pixels_A.T
        np.testing.assert_allclose(sheet.strain_gradient, spring_gradient(sheet.positions, vectors), atol=1e-6)
    vectors_px = choose_vectors(upright.cell, np.radians(60.0), np.array([0.4, 0.4]), 2)
    other = rotated(upright, np.radians(60.0), vectors_px)
    np.testing.assert_allclose(
        other.strain_gradient, spring_gradient(other.positions, vectors_px @ other.pixels_A.T), atol=1e-6
    )
    assert np.abs(other.strain_gradient - upright.strain_gradient).max() > 0.01


def test_batches_under_all_symmetries_have_stress(model):
    potential = load_model(model)
    sheets = make_sheets(strained_sheets(6), {"C": -9.0}, True, lay=potential.lay, with_stress=True)
    rng, rule = np.random.default_rng(0), ShapeRule(potential.config.pixel_size_A, 2)
    for groups, count, _ in training_batches(sheets, 3, Augmentation(rotation_deg=60), rule, rng):
        found = [group_errors(potential, group, training=True) for group in groups]
        assert sum(len(errors.stress) for errors in found) == count
        assert all(errors.stress.isfinite().all() and errors.forces.isfinite().all() for errors in found)


def entry(**changes):
    model = {"network": "ednn", "channels": ["C"], "pixel_size_A": 0.4, "sigma_A": 0.5, "pitch_channels": True,
             "focus_px": 4, "stem": [[16, 4, 2]], "width": 16, "blocks": 1, "head": [16]}  # fmt: skip
    training = {"samples": 600, "batch_size": 3, "optimizer": "muon", "learning_rate": 3e-3, "warmup": 0.1,
                "energy_weight": 0.1, "forces_weight": 0, "augmentation": None, "validations": 3}  # fmt: skip
    training |= changes
    return complete_config({"models": {"x": {**model, "training": training}}})["models"]["x"]


@pytest.mark.slow
def test_stress_is_learned_where_it_has_a_weight(tmp_path):
    structures = strained_sheets(6)
    del structures[3].info[keys.REF_STRESS]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names, "validation": names[:4]}
    curves = {}
    for weight in (0.0, 1.0):
        path = tmp_path / f"weight-{weight:g}"
        train_model("x", entry(stress_weight=weight), structures, splits, path, path.with_suffix(".csv"), "cpu")
        curves[weight] = pd.read_csv(path.with_suffix(".csv"))
        calculator, errors = Calculator(path, device="cpu", extrapolate=True), []
        for atoms in structures:
            if keys.REF_STRESS in atoms.info:
                found = calculator.get_stress(atoms) - atoms.info[keys.REF_STRESS]
                errors.append(np.abs(found[[0, 1, 5]]).mean())
        curves[weight].attrs["error"] = np.mean(errors)
    assert "valid_stress_mae_meV_per_A2" not in curves[0.0]
    assert curves[1.0].attrs["error"] < 0.5 * curves[0.0].attrs["error"]
    falls = curves[1.0]["train_stress_mae_meV_per_A2"]
    assert falls.iloc[-1] < 0.5 * falls.iloc[0]


def test_what_cannot_learn_stress_says_so(tmp_path):
    structures = strained_sheets(2)
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits, rest = {"train": names, "validation": names}, (tmp_path / "x", tmp_path / "x.csv", "cpu")
    with pytest.raises(InputError, match="stress_weight needs an ednn with tile_network: convolutional"):
        train_model("x", {**entry(stress_weight=1), "network": "cnn"}, structures, splits, *rest)
    bare = [atoms.copy() for atoms in structures]
    for atoms in bare:
        del atoms.info[keys.REF_STRESS]
    with pytest.raises(InputError, match="no training structure has REF_stress, a stress or a virial; name its key"):
        train_model("x", entry(stress_weight=1), bare, splits, *rest)
    with pytest.raises(InputError, match="stress_weight: -1"):
        train_model("x", {**entry(), "training": {**entry()["training"], "stress_weight": -1}}, bare, splits, *rest)
    structures[0].info[keys.REF_STRESS] = structures[0].info[keys.REF_STRESS] * 1602.0
    with pytest.raises(InputError, match=r"mine-00000: a stress of .* the unit must be eV/Angstrom"):
        train_model("x", entry(stress_weight=1), structures, splits, *rest)


def test_stress_is_read_in_every_form(tmp_path):
    sheet = springs(honeycomb(CHIRAL))
    stress, volume = sheet.info.pop(keys.REF_STRESS), sheet.get_volume()
    whole = stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
    forms = {"REF_stress": stress, "stress": whole, "virial": -volume * whole, "REF_virials": -volume * whole.ravel(),
             "my_stress": stress, "my_virial": -volume * whole}  # fmt: skip
    for key, value in forms.items():
        atoms = sheet.copy()
        if key == "stress":
            atoms.calc = SinglePointCalculator(atoms, energy=-1.0, stress=stress)
        else:
            atoms.info[key] = value
        write(tmp_path / "one.extxyz", atoms)
        own = LabelKeys(stress_key=key) if key.startswith("my_") else LabelKeys()
        (found,) = read_labelled([tmp_path / "one.extxyz"], "mine", named=own)
        np.testing.assert_allclose(found.info[keys.REF_STRESS], stress, atol=1e-8, err_msg=key)
        np.testing.assert_allclose(strain_gradient_of(found), volume * whole, atol=1e-5)
    with pytest.raises(InputError, match="stress_key: 'sigma' is not there; there are my_virial"):
        read_labelled([tmp_path / "one.extxyz"], "mine", named=LabelKeys(stress_key="sigma"))
    atoms.info["my_virial"] = [1.0, 2.0]
    write(tmp_path / "one.extxyz", atoms)
    with pytest.raises(InputError, match="has 2 numbers; 6 or 9 are a stress or a virial"):
        read_labelled([tmp_path / "one.extxyz"], "mine", named=LabelKeys(stress_key="my_virial"))
    assert keys.REF_STRESS not in read_labelled([tmp_path / "one.extxyz"], "mine")[0].info


def test_predict_prints_the_error_of_stress(model, tmp_path):
    sheet = rattled()
    sheet.calc = Calculator(model, device="cpu")
    stress = sheet.get_stress()
    sheet.calc = None
    sheet.info[keys.REF_STRESS] = stress + [0.003, 0.0, 0.7, 0.7, 0.7, 0.0]
    write(tmp_path / "in.extxyz", sheet)
    files = [str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz")]
    done = CliRunner().invoke(app, ["predict", *files, "--model", str(model), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    # One of three components in the plane is off by 3 meV/A^3; those out of it do not count.
    assert "error of the stress of 1 labelled structures: 1.0000 meV/A^3" in done.output
    np.testing.assert_allclose(read(tmp_path / "out.extxyz").get_stress(), stress, atol=1e-6)
    other = write_model(tmp_path / "cnn", CNN)
    done = CliRunner().invoke(app, ["predict", *files, "--model", str(other), "--device", "cpu", "--extrapolate"])
    assert done.exit_code == 0, done.output
    assert "stress" not in done.output
