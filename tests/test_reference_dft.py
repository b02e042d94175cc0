"""Reference stage with GPAW itself, on the smallest cells that show the physics."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from coarse_dft import COARSE

from extensive import keys
from extensive.config import complete_config
from extensive.io import write_structures
from extensive.reference import arithmetic, bands, blocked, calculation, calculator, electrostatics, mixing, start
from extensive.reference.archive import read_labels
from extensive.reference.calculation import LabelFailed, Labeller
from extensive.reference.calculator import prepare_serial_process
from extensive.reference.chunks import Store, label_chunk
from extensive.reference.settings import DFTSettings
from extensive.structures.datasets import generate_dataset

pytest.importorskip("gpaw")
prepare_serial_process()
pytestmark = pytest.mark.dft

CONFIG = complete_config({"run": "test", "reference": {"dft": COARSE}})
SETTINGS = DFTSettings.from_config(CONFIG["reference"]["dft"])


def dataset(family="graphene", sampler="rattle", count=1, supercell=(1, 1), **more):
    name = f"{family}-{sampler}"
    spec = {"family": family, "sampler": sampler, "count": count, "supercell": list(supercell), **more}
    full = complete_config({"run": "test", "structures": {"datasets": {name: spec}}})
    return generate_dataset(name, full["structures"]["datasets"][name], 5)


def energy(labelled):
    return labelled.info[keys.REF_ENERGY]


def test_forces_are_the_derivative_of_the_energy_and_components_add_up_to_it():
    (atoms,) = dataset(displacement_A=[0.08, 0.08])
    # A fine grid, since the egg-box noise of a coarse one is in the energies, not in the forces.
    tight = Labeller(replace(SETTINGS, density_convergence=1e-6, grid_points=(16, 28), z_spacing_A=0.2))
    label = tight.label(atoms)
    step, energies = 0.01, []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[1, 0] += sign * step
        energies.append(energy(tight.label(moved)))
    assert label.arrays[keys.REF_FORCES][1, 0] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-3)
    components = json.loads(label.info[keys.REF_COMPONENTS])
    del components["extrapolation"]
    assert sum(components.values()) == pytest.approx(energy(label), abs=1e-6)
    assert {"kinetic", "coulomb", "xc", "entropy"} <= set(components)
    record = json.loads(label.info[keys.REF_RECORD])
    assert record["converged"]
    assert record["settings"] == tight.settings.physical()
    assert record["versions"]["gpaw"]


def without_faster_sums(monkeypatch):
    monkeypatch.setattr(arithmetic, "REPLACEMENTS", ())


@pytest.mark.parametrize("kpoint", [0.25, 0.5, 0.0], ids=["complex", "real", "gamma"])
def test_faster_sums_give_gpaws_own_numbers(monkeypatch, kpoint):
    """In cells so small that several images of a function overlap; Gamma's grid and bands are left to GPAW."""
    (atoms,) = dataset("hbn", supercell=(2, 1), displacement_A=[0.05, 0.05])
    monkeypatch.setattr(calculator, "kpoint_list", lambda *_: np.array([[kpoint, kpoint, 0.0]]))
    made, kinds = [], []
    monkeypatch.setattr(
        blocked, "Patches", lambda basis, *more, make=blocked.Patches: made.append(basis) or make(basis, *more)
    )
    solve = bands.lowest_bands
    monkeypatch.setattr(bands, "lowest_bands", lambda matrix, *more: kinds.append(matrix.dtype) or solve(matrix, *more))
    fast = Labeller(SETTINGS, reuse=False).label(atoms)
    assert (len(made), set(kinds)) == {
        0.25: (1, {np.dtype(complex)}), 0.5: (1, {np.dtype(float)}), 0.0: (0, set())
    }[kpoint]  # fmt: skip
    made.clear()
    kinds.clear()
    without_faster_sums(monkeypatch)
    own = Labeller(SETTINGS, reuse=False).label(atoms)
    assert not made
    assert not kinds
    assert energy(fast) == pytest.approx(energy(own), abs=2e-8)
    np.testing.assert_allclose(fast.arrays[keys.REF_FORCES], own.arrays[keys.REF_FORCES], atol=2e-6)


def test_sums_for_all_kpoints_together_give_gpaws_own_numbers():
    """Twelve k-points, some of them real, in a cell whose functions reach into the next but one."""
    (atoms,) = dataset("hbn", displacement_A=[0.05, 0.05])
    cold = replace(SETTINGS, kpoints=(3, 4), occupations="marzari-vanderbilt", smearing_eV=0.3, vacuum_A=4.0)
    fast = Labeller(cold, reuse=False).label(atoms)
    assert json.loads(fast.info[keys.REF_RECORD])["kpoints_irreducible"] > 4
    own = Labeller(cold, reuse=False, own_sums=True).label(atoms)
    assert [json.loads(label.info[keys.REF_RECORD])["arithmetic"] for label in (fast, own)] == [arithmetic.VERSION, 0]
    assert energy(fast) == pytest.approx(energy(own), abs=2e-8)
    np.testing.assert_allclose(fast.arrays[keys.REF_FORCES], own.arrays[keys.REF_FORCES], atol=2e-6)


@pytest.mark.parametrize("grid", [None, (8, 12)], ids=["same grid", "coarser grid"])
def test_a_start_from_coarser_kpoints_changes_nothing_but_the_number_of_iterations(monkeypatch, grid):
    """Single precision before the density is nearly converged, double at the end, and the same numbers."""
    (atoms,) = dataset(supercell=(2, 1), displacement_A=[0.05, 0.05])
    plain = replace(SETTINGS, kpoints=(4, 4), kpoint_cells=(2, 1), density_convergence=1e-6)
    labels, kinds, solve = [], [], bands.lowest_bands
    monkeypatch.setattr(bands, "lowest_bands", lambda matrix, *more: kinds.append(matrix.dtype) or solve(matrix, *more))
    for settings in (plain, replace(plain, start_kpoints=(2, 2), start_grid_points=grid)):
        kinds.clear()
        labels.append(Labeller(settings).label(atoms))
    singles = [kind == np.complex64 for kind in kinds]
    assert singles == sorted(singles, reverse=True)  # once left, single precision is not gone back to
    fine = json.loads(labels[1].info[keys.REF_RECORD])
    exact, of = singles.count(False), fine["kpoints_irreducible"] * fine["iterations"]
    assert 0 < exact < of
    records = [json.loads(label.info[keys.REF_RECORD]) for label in labels]
    assert records[1]["iterations"] < records[0]["iterations"]
    assert records[1]["coarse_iterations"] > records[0]["coarse_iterations"] == 0
    assert records[0]["settings"] == records[1]["settings"]
    assert labels[0].info[keys.REF_DIGEST] == labels[1].info[keys.REF_DIGEST]
    assert energy(labels[1]) == pytest.approx(energy(labels[0]), abs=1e-6)
    np.testing.assert_allclose(labels[1].arrays[keys.REF_FORCES], labels[0].arrays[keys.REF_FORCES], atol=1e-3)


def test_the_mixer_goes_on_where_that_of_the_start_has_ended(monkeypatch):
    """With the same k-points in both, start and calculation take as many iterations as one without a start."""
    (atoms,) = dataset("graphene-vacancy", supercell=(2, 1), displacement_A=[0.06, 0.06])
    plain = replace(SETTINGS, kpoints=(2, 2), kpoint_cells=(2, 1), density_convergence=1e-6)
    started = replace(plain, start_kpoints=(2, 2))
    labels = [Labeller(settings).label(atoms) for settings in (plain, started)]
    monkeypatch.setattr(mixing, "_Continued", lambda mixer: mixer)
    labels.append(Labeller(started).label(atoms))
    records = [json.loads(label.info[keys.REF_RECORD]) for label in labels]
    whole, told, untold = (record["coarse_iterations"] + record["iterations"] for record in records)
    assert whole < untold
    assert told <= whole + 1  # the density where they meet is met twice
    assert energy(labels[1]) == pytest.approx(energy(labels[0]), abs=1e-6)


def test_waves_that_a_coarse_grid_holds_are_the_same_on_a_finer_one():
    coarse, fine = (
        np.meshgrid(*(np.arange(n) / n for n in shape), [1.0, 2.0], indexing="ij") for shape in ((9, 8), (12, 20))
    )

    def waves(x, y, z):
        return 1.3 + z * np.cos(2 * np.pi * (4 * x - 3 * y)) + np.sin(2 * np.pi * (x + 2 * y))

    np.testing.assert_allclose(mixing.interpolated(waves(*coarse), (12, 20)), waves(*fine), atol=1e-12)


def test_wave_functions_of_a_coarser_grid_have_their_density_on_the_full_one(monkeypatch):
    """Sums of patches against interpolation: the same electrons, in nearly the same place."""
    (atoms,) = dataset("hbn", displacement_A=[0.05, 0.05])
    settings = replace(SETTINGS, grid_points=(24, 40), start_kpoints=(2, 2), start_grid_points=(20, 32))
    densities = []

    def hand_over(coarse, full, refined, own=mixing.hand_over):
        def both():
            summed = refined()
            densities.extend([mixing.interpolated(coarse.dft.density.nt_sR.data, summed.shape[1:3]), summed])
            return summed

        own(coarse, full, both)

    monkeypatch.setattr(start, "hand_over", hand_over)
    Labeller(settings).label(atoms)
    interpolated, summed = densities
    assert summed.sum() == pytest.approx(interpolated.sum(), rel=1e-2)
    assert 0 < np.abs(summed - interpolated).sum() < 0.05 * summed.sum()


@pytest.mark.parametrize("width", [0.2, 0.3])
def test_cold_smearing_leaves_an_insulator_its_ground_state(width):
    """The gap of boron nitride is much wider: no entropy, and the energy of a narrow width."""
    (atoms,) = dataset("hbn", displacement_A=[0.05, 0.05])
    narrow, cold = (
        Labeller(replace(SETTINGS, occupations="marzari-vanderbilt", smearing_eV=value)).label(atoms)
        for value in (0.05, width)
    )
    assert json.loads(cold.info[keys.REF_COMPONENTS])["entropy"] == pytest.approx(0.0, abs=1e-5)
    assert energy(cold) == pytest.approx(energy(narrow), abs=1e-4)


@pytest.mark.parametrize("shape", ["orthogonal", "hexagonal"])
def test_eigenvalues_of_the_laplacian_and_potentials_are_gpaws_own(shape):
    from gpaw.mpi import serial_comm
    from gpaw.old.grid_descriptor import GridDescriptor
    from gpaw.poisson import FastPoissonSolver

    cell = {"orthogonal": [[5, 0, 0], [0, 6, 0], [0, 0, 7]], "hexagonal": [[5, 0, 0], [2.5, 4.330127, 0], [0, 0, 7]]}
    grid = GridDescriptor((12, 16, 20), cell[shape], pbc_c=(True, True, False), comm=serial_comm)
    own, ours = FastPoissonSolver(nn=3), FastPoissonSolver(nn=3)
    own.set_grid_descriptor(grid)
    with electrostatics.one_process_poisson():
        ours.set_grid_descriptor(grid)
    np.testing.assert_allclose(ours.inv_fft_lambdas, own.inv_fft_lambdas, rtol=1e-9, atol=1e-12)
    density = np.random.default_rng(4).normal(size=own.gd.n_c)
    potential, expected = np.empty_like(density), np.empty_like(density)
    own.solve(expected, density, charge=0.0)
    with electrostatics.one_process_poisson():
        ours.solve(potential, density, charge=0.0)
    np.testing.assert_allclose(potential, expected, atol=1e-12 * np.abs(expected).max())


def test_a_hexagonal_cell_is_labelled_as_the_rectangular_one():
    """The primitive cell of graphene, two atoms, against the rectangle of four, and its forces against GPAW's own."""
    (rectangle,) = dataset(sampler="pristine", strain=0.0)
    a = rectangle.cell.lengths()[0]
    primitive = Atoms("C2", pbc=(True, True, False), cell=[[a, 0, 0], [a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 9.0]])
    primitive.set_scaled_positions([[0, 0, 0], [1 / 3, 1 / 3, 0]])
    dense = replace(SETTINGS, kpoints=(12, 8), grid_points=(20, 36), occupations="marzari-vanderbilt", smearing_eV=0.3)
    energies = [energy(Labeller(dense).label(atoms)) / len(atoms) for atoms in (primitive, rectangle)]
    assert energies[0] == pytest.approx(energies[1], abs=0.01)


def test_faster_sums_are_gpaws_own_in_a_hexagonal_cell(monkeypatch):
    atoms = Atoms("BNBN", pbc=(True, True, False), cell=[[5.0, 0, 0], [1.25, 2.165, 0], [0, 0, 9.0]])
    atoms.set_scaled_positions([[0.01, 0, 0], [1 / 6, 1 / 3, 0], [0.5, 0.02, 0], [4 / 6, 1 / 3, 0]])
    fast = Labeller(SETTINGS, reuse=False).label(atoms)
    without_faster_sums(monkeypatch)
    own = Labeller(SETTINGS, reuse=False).label(atoms)
    assert energy(fast) == pytest.approx(energy(own), abs=2e-8)
    np.testing.assert_allclose(fast.arrays[keys.REF_FORCES], own.arrays[keys.REF_FORCES], atol=2e-6)


def test_doubling_the_cell_doubles_the_energy():
    (small,) = dataset(displacement_A=[0.05, 0.05])
    labeller = Labeller(SETTINGS)
    one = energy(labeller.label(small))
    for repeat in ((2, 1, 1), (1, 2, 1)):
        double = small * repeat
        double.info |= {**small.info, keys.SUPERCELL: np.array(repeat[:2])}
        assert energy(labeller.label(double)) == pytest.approx(2 * one, abs=8 * 1e-4)


def test_a_predicted_start_changes_nothing_but_the_number_of_iterations():
    (atoms,) = dataset("hbn")
    follower, fresh = Labeller(SETTINGS), Labeller(SETTINGS, reuse=False)
    follower.label(atoms)
    random = np.random.default_rng(3)
    velocity = random.normal(0, 0.01, atoms.positions.shape) * [1, 1, 0]
    for _ in range(3):
        atoms.positions += velocity
        predicted = follower.label(atoms)
    alone = fresh.label(atoms)
    records = [json.loads(label.info[keys.REF_RECORD]) for label in (predicted, alone)]
    assert [record["reused"] for record in records] == [True, False]
    assert records[0]["iterations"] < records[1]["iterations"]
    assert energy(predicted) == pytest.approx(energy(alone), abs=1e-4 * len(atoms))
    assert np.abs(predicted.arrays[keys.REF_FORCES] - alone.arrays[keys.REF_FORCES]).max() < 0.01


def test_a_calculator_that_began_with_coarser_kpoints_is_used_again():
    (atoms,) = dataset(supercell=(2, 1), displacement_A=[0.05, 0.05])
    settings = replace(SETTINGS, kpoints=(4, 4), kpoint_cells=(2, 1), start_kpoints=(2, 2), density_convergence=1e-6)
    moved = atoms.copy()
    moved.positions[0, 0] += 0.02
    again, fresh = Labeller(settings), Labeller(settings, reuse=False)
    again.label(atoms)
    labels = [labeller.label(moved) for labeller in (again, fresh)]
    records = [json.loads(label.info[keys.REF_RECORD]) for label in labels]
    assert [record["reused"] for record in records] == [True, False]
    assert energy(labels[0]) == pytest.approx(energy(labels[1]), abs=1e-6)
    np.testing.assert_allclose(labels[0].arrays[keys.REF_FORCES], labels[1].arrays[keys.REF_FORCES], atol=1e-3)


def test_what_does_not_converge_is_tried_again_and_then_refused_with_its_reason(monkeypatch):
    (atoms,) = dataset()
    impatient = replace(SETTINGS, max_iterations=3)
    record = json.loads(Labeller(impatient).label(atoms).info[keys.REF_RECORD])
    assert record["attempts"] == 2
    assert record["mixer"] == [0.05, 5, 50.0]
    monkeypatch.setattr("extensive.reference.calculation.SAFE_ITERATIONS", 3)
    with pytest.raises(LabelFailed, match="KohnShamConvergenceError"):
        Labeller(impatient).label(atoms)


@pytest.mark.parametrize("error", [MemoryError("no room"), AttributeError("no such method of GPAW"), OSError("full")])
def test_errors_of_the_machine_are_no_failures_of_a_structure(monkeypatch, tmp_path, error):
    """They pass through, and nothing is remembered that would keep the next attempt from trying."""
    (atoms,) = dataset()

    def broken(*_):
        raise error

    monkeypatch.setattr(calculation, "_converge", broken)
    store = Store(tmp_path, None, SETTINGS, [])
    with pytest.raises(type(error), match=str(error)):
        store.label(atoms)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert store.label(atoms).info[keys.REF_ENERGY]


CHUNK = """
import json, sys
from extensive.io import read_structures
from extensive.reference.chunks import Store, label_chunk
from extensive.reference.settings import DFTSettings
structures, folder, dft = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
label_chunk(list(enumerate(read_structures(structures))), Store(folder, None, DFTSettings.from_config(dft), []))
"""


def test_a_killed_chunk_goes_on_after_what_it_had_finished(tmp_path):
    atoms = dataset(count=4)
    write_structures(tmp_path / "all.extxyz", atoms)
    folder = tmp_path / "store"
    arguments = [str(tmp_path / "all.extxyz"), str(folder), json.dumps(CONFIG["reference"]["dft"])]
    process = subprocess.Popen([sys.executable, "-c", CHUNK, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not list(folder.glob("[!.]*.extxyz")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = [energy(read_labels(path)[0]) for path in folder.glob("[!.]*.extxyz")]
    assert 1 <= len(finished) < 4
    again = Store(folder, None, SETTINGS, [])
    labelled, failures = label_chunk(list(enumerate(atoms)), again)
    assert again.computed == 4 - len(finished)
    assert not failures
    assert set(finished) <= {energy(label) for label in labelled}


def test_the_command_line_labels_any_file_as_the_workflow_does_and_goes_on_from_what_is_there(tmp_path):
    (atoms,) = dataset()
    ase.io.write(tmp_path / "mine.xyz", atoms, format="extxyz")
    (tmp_path / "mine.yaml").write_text(json.dumps({"run": "mine", "reference": {"dft": COARSE}}))
    command = [sys.executable, "-m", "extensive.cli", "label", "mine.xyz", "out.extxyz", "--config", "mine.yaml"]
    said = [
        subprocess.run([*command, "--no-archive"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert "1 labels, 1 computed" in said[0]
    assert "1 labels, 0 computed" in said[1]
    (label,) = read_labels(tmp_path / "out.extxyz")
    alone = Labeller(SETTINGS).label(atoms)
    assert energy(label) == pytest.approx(energy(alone), abs=1e-6)
    assert label.arrays[keys.REF_FORCES] == pytest.approx(alone.arrays[keys.REF_FORCES], abs=1e-4)
