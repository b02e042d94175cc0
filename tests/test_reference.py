"""Reference stage without GPAW: digests, predicted densities, Lennard-Jones, convergence, bands."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from spring_labels import PRODUCTION, VERSION, dataset, spring_label

from extensive import keys
from extensive.config.load import load_config
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.reference import bands, convergence
from extensive.reference.lennard_jones import label_dimer
from extensive.reference.prediction import combination_weights
from extensive.reference.settings import DFTSettings, label_digest

# --- what a label is


@given(st.floats(-4e-7, 4e-7), st.floats(5.0, 60.0))
@settings(max_examples=30, deadline=None)
def test_digest_ignores_noise_and_the_structures_own_vacuum(noise, height):
    atoms = dataset()[0]
    other = atoms.copy()
    other.positions += noise * np.array([1, -1, 0]) / 2
    other.cell[2, 2] = height
    other.positions[:, 2] = height / 3
    assert label_digest(other, PRODUCTION.physical(), VERSION) == label_digest(atoms, PRODUCTION.physical(), VERSION)


def test_digest_tells_structures_settings_and_gpaw_versions_apart():
    atoms = dataset()[0]
    moved, swapped, stretched = atoms.copy(), atoms.copy(), atoms.copy()
    moved.positions[0, 0] += 2e-6
    swapped.numbers[0] = 7
    stretched.cell[0, 0] += 2e-6
    physical = PRODUCTION.physical()
    digests = [label_digest(each, physical, VERSION) for each in (atoms, moved, swapped, stretched)]
    digests += [label_digest(atoms, {**physical, key: "other"}, VERSION) for key in physical]
    digests += [label_digest(atoms, physical, version) for version in ("25.7.0", "27.1.0")]
    assert len(set(digests)) == len(digests)
    # A patch release, and how the solution is found, are no other level of theory.
    assert label_digest(atoms, physical, "26.7.3") == digests[0]
    assert "mixer" not in physical


def test_digest_survives_the_file(tmp_path):
    atoms = dataset()
    write_structures(tmp_path / "a.extxyz", atoms)
    for before, after in zip(atoms, read_structures(tmp_path / "a.extxyz"), strict=True):
        assert label_digest(after, PRODUCTION.physical(), VERSION) == label_digest(
            before, PRODUCTION.physical(), VERSION
        )


# --- predicted densities


def test_the_predicted_start_combines_the_structures_that_come_nearest():
    random = np.random.default_rng(1)
    known = random.normal(0, 0.05, (3, 60, 2))
    new = 1.5 * known[0] - 0.8 * known[1] + 0.3 * known[2]
    weights = combination_weights(known - new)
    assert weights == pytest.approx([1.5, -0.8, 0.3], abs=0.02)
    assert weights.sum() == pytest.approx(1.0)
    # One that is nearly the same outweighs the others.
    assert combination_weights(known - known[1] + 1e-4)[1] == pytest.approx(1.0, abs=0.01)


# --- Lennard-Jones


def test_lennard_jones_forces_are_the_gradient_and_the_minimum_is_where_it_should_be():
    atoms = Atoms("Ar2", [[2, 3, 4], [4.6, 5.2, 4.9]], cell=[12] * 3, pbc=True)
    step = 1e-5
    forces = label_dimer(atoms, 0.0104, 3.4).arrays[keys.REF_FORCES]
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, axis] += sign * step
            energies.append(label_dimer(moved, 0.0104, 3.4).info[keys.REF_ENERGY])
        assert forces[1, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-8)
    assert np.allclose(forces.sum(axis=0), 0)
    atoms.positions[1] = atoms.positions[0] + [2 ** (1 / 6) * 3.4, 0, 0]
    bottom = label_dimer(atoms, 0.0104, 3.4)
    assert bottom.info[keys.REF_ENERGY] == pytest.approx(-0.0104)
    assert np.abs(bottom.arrays[keys.REF_FORCES]).max() < 1e-12


# --- convergence study


def test_difference_error_ignores_a_constant_offset():
    assert convergence.difference_error(np.full(3, 0.3)) == pytest.approx(0.0, abs=1e-12)
    assert convergence.difference_error(np.array([0.0, 0.2])) == pytest.approx(0.2)
    assert convergence.difference_error(np.array([0.7])) == 0.0


def test_one_energy_for_each_element_is_no_error_across_families():
    counts = np.array([[60, 0, 0], [0, 30, 30], [30, 15, 15], [58, 1, 1]])
    offsets = counts @ [0.3, -0.2, 1.0] / counts.sum(axis=1)
    assert np.abs(convergence.beside_elements(offsets, counts)).max() < 1e-12
    bent = convergence.beside_elements(offsets + [0, 0, 0.1, 0], counts)
    assert 0.01 < np.abs(bent).max() < 0.1


STUDIES = {
    "datasets": ["graphene-rattle", "hbn-rattle"],
    "structures": 2,
    "studies": {
        "vacuum": {
            "base": {"grid_points": [40, 40]},
            "datasets": [],
            "shifts": [],
            "points": [{"name": "wide", "vacuum_A": PRODUCTION.vacuum_A}, {"name": "wider", "vacuum_A": 9.0}],
        },
        "egg-box": {
            "base": {},
            "datasets": ["graphene-rattle"],
            "shifts": [0.5],
            "points": [{"name": "grid", "grid_points": list(PRODUCTION.grid_points)}],
        },
    },
}


def test_the_study_marks_the_production_setting_and_sums_families_up():
    points = convergence.points(STUDIES, PRODUCTION)
    assert [(point.study, point.setting, point.chosen) for point in points] == [
        ("vacuum", "wide", True), ("vacuum", "wider", False), ("egg-box", "grid", True)
    ]  # fmt: skip
    assert points[0].settings.grid_points == (40, 40)
    assert points[2].settings == PRODUCTION
    structures = {"graphene-rattle": dataset(count=2), "hbn-rattle": dataset("hbn", count=2)}
    results = [
        convergence.by_dataset(
            [
                spring_label(convergence.as_member(name, atoms), point.settings)
                for system in point.datasets
                for name, atoms in convergence.jobs(point, structures[system])
            ]
        )
        for point in points
    ]
    table = convergence.table(points, results).set_index(["study", "setting", "system"]).sort_index()
    # Nothing but the egg-box shifts changes the energy on springs.
    vacuum = table.loc["vacuum", list(convergence.ERRORS)]
    assert vacuum.to_numpy().max() < 1e-9
    assert set(vacuum.index.get_level_values("system")) == {"graphene", "hbn", keys.ALL_FAMILIES}
    assert table.loc[("egg-box", "grid", "graphene"), "error_meV_per_atom"] > 0
    # One energy more for each atom of an element changes all, and nothing beside the elements; forces are by component.
    for labels in results[0].values():
        for atoms in labels:
            atoms.info[keys.REF_ENERGY] += 0.01 * np.count_nonzero(atoms.numbers == 6) + 0.3 * sum(atoms.numbers == 7)
            atoms.arrays[keys.REF_FORCES][:, 0] += 0.003
    changed = convergence.table(points, results).set_index(["study", "setting", "system"]).sort_index()
    assert changed.loc["vacuum", "beside_elements_meV_per_atom"].max() < 1e-6
    assert changed.loc[("vacuum", "wide", keys.ALL_FAMILIES), "forces_meV_per_A"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{"name": "a", "vacuum_A": 4.0}, {"name": "b", "vacuum_A": 5.0}], "vacuum: has a, b but not the production"),
        ([{"name": "a", "vacum_A": 4.0}, {"name": "b", "vacuum_A": 5.0}], "'vacum_A' is no setting of reference.dft"),
    ],
)
def test_a_study_of_other_settings_than_those_of_production_is_refused(points, message):
    study = {**STUDIES, "studies": {"vacuum": {**STUDIES["studies"]["vacuum"], "points": points}}}
    with pytest.raises(InputError, match=message):
        convergence.points(study, PRODUCTION)


def test_the_published_study_holds_the_settings_of_the_labels_that_are_grown():
    config = load_config("config/convergence.yaml")
    assert config["reference"]["dft"] == load_config("config/config.yaml")["reference"]["dft"]
    settings = DFTSettings.from_config(config["reference"]["dft"])
    points = convergence.points(config["reference"]["convergence"], settings)
    assert {point.study for point in points} == {"electrons", "grid", "vacuum", "egg-box", "density", "all"}
    names = [name for point in points for name, _ in convergence.jobs(point, dataset(count=2))]
    assert len(names) == len(set(names))


# --- bands


@pytest.mark.parametrize("real", [True, False])
def test_the_lowest_bands_solve_the_generalized_eigenvalue_problem(real):
    """H C = S C eps with C orthonormal in S, for the lowest bands of a random problem."""
    random = np.random.default_rng(3)
    matrix, overlap = (random.normal(size=(30, 30)) + 1j * random.normal(size=(30, 30)) for _ in range(2))
    if real:
        matrix, overlap = matrix.real + 0j, overlap.real + 0j
    matrix, overlap = matrix + matrix.conj().T, overlap @ overlap.conj().T + np.eye(30)
    lower = np.linalg.inv(np.linalg.cholesky(overlap))
    energies, coefficients = bands.lowest_bands(matrix, lower, 7)
    assert coefficients.shape == (7, 30)
    assert np.isrealobj(coefficients) == real
    np.testing.assert_allclose(energies, eigh(matrix, overlap, eigvals_only=True)[:7], atol=1e-10)
    np.testing.assert_allclose(matrix @ coefficients.T, overlap @ coefficients.T * energies, atol=1e-9)
    np.testing.assert_allclose(coefficients.conj() @ overlap @ coefficients.T, np.eye(7), atol=1e-10)


def test_settings_say_what_labels_are():
    old, new = (
        replace(PRODUCTION, **change)
        for change in (
            {"smearing_eV": 0.6, "kpoints": (2, 2), "mirror_kpoints": False, "occupations": "fermi-dirac"},
            {"smearing_eV": 0.1, "kpoints": (4, 4), "mirror_kpoints": True, "occupations": "marzari-vanderbilt"},
        )
    )
    assert "Fermi-Dirac occupations of 0.6 eV, 2x2 k-points for each 60 atoms, one for all" in old.in_words()
    assert new.in_words() == (
        "PBE, LCAO dzp, not spin-polarised, Marzari-Vanderbilt occupations of 0.1 eV, 4x4 k-points for each 60 atoms"
    )
