"""Training: learning, and the same weights to the bit after a kill; the model systems."""

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from taught_sheets import sheet

from extensive import keys
from extensive.errors import InputError
from extensive.images.files import write_images
from extensive.io import read_json, read_structures, write_json, write_structures
from extensive.models import load_model
from extensive.structures.ising import generate_ising
from extensive.training.dimers import DimerSettings, train_dimers
from extensive.training.fit import choose, train_model
from extensive.training.ising import IsingSettings, predict_ising, symmetric, train_ising
from extensive.training.reference_energies import count_elements, refit_reference_energies
from extensive.training.settings import TrainingSettings

MODEL = {
    "network": "ednn",
    "tile_network": "convolutional",
    "channels": ["B", "C", "N"],
    "pixel_size_A": 0.4,
    "sigma_A": 0.5,
    "pitch_channels": True,
    "stem": [[16, 4, 2]],
    "width": 16,
    "blocks": 1,
    "head": [16],
    "focus_px": 2,
}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- learning


def fit(tmp_path, name: str, count: int = 8, model: dict | None = None, **training):
    structures = [sheet(i) for i in range(count + 12)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names[:count], "validation": names[count:]}
    settings = {"samples": 240, "batch_size": 2, "optimizer": "muon", "learning_rate": 2e-3}
    settings |= {"ema": 0.9, "validations": 10}
    settings |= {"augmentation": {"pitch": 0.0}, **training}
    curve = tmp_path / f"{name}.csv"
    train_model(name, {**(model or MODEL), "training": settings}, structures, splits, tmp_path / name, curve, "cpu")
    return pd.read_csv(curve), load_model(tmp_path / name), structures


@pytest.mark.medium
def test_a_handful_of_sheets_is_learned_and_what_is_saved_is_what_was_trained(tmp_path):
    curve, potential, structures = fit(tmp_path, "few")
    assert curve["loss"].iloc[-1] < 0.3 * curve["loss"].iloc[0]
    energies, forces = potential.energies_and_forces(structures[8:])
    error = np.abs(energies - [a.info[keys.REF_ENERGY] for a in structures[8:]]).mean() / 8
    assert 1e3 * error == pytest.approx(curve["valid_energy_mae_meV_per_atom"].iloc[-1], rel=1e-3)
    force_error = np.mean([np.abs(f - a.arrays[keys.REF_FORCES])[:, :2] for f, a in zip(forces, structures[8:])])
    assert 1e3 * force_error == pytest.approx(curve["valid_forces_mae_meV_per_A"].iloc[-1], rel=1e-3)
    assert potential.metadata["n_train"] == 8


@pytest.mark.medium
def test_forces_in_the_loss_beat_energies_alone(tmp_path):
    def force_error(name: str, **training) -> float:
        _, potential, structures = fit(tmp_path, name, count=4, **training)
        _, forces = potential.energies_and_forces(structures[4:])
        return np.mean([np.abs(f - a.arrays[keys.REF_FORCES]).mean() for f, a in zip(forces, structures[4:])])

    assert force_error("forces") < 0.9 * force_error("energies", forces_weight=0.0)


def test_the_same_seed_gives_the_same_weights(tmp_path):
    same = [fit(tmp_path, f"run{i}", samples=24)[1].network.state_dict() for i in range(2)]
    assert all(torch.equal(same[0][key], same[1][key]) for key in same[0])
    other = fit(tmp_path, "other", samples=24, seed=1)[1].network.state_dict()
    assert any(not torch.equal(same[0][key], other[key]) for key in other)


@pytest.mark.medium
def test_a_training_goes_on_from_given_weights(tmp_path):
    _, first, structures = fit(tmp_path, "first-seed3", samples=160, seed=3)
    # At a rate of nothing the weights stay those that it began with, and so does the scale.
    start = {"initial_weights": str(tmp_path / "first-seed{seed}.pt"), "seed": 3}
    _, same, _ = fit(tmp_path, "same", count=6, samples=24, learning_rate=1e-30, **start)
    changes = np.array([same.reference_energies_eV[e] - first.reference_energies_eV[e] for e in first.elements])
    moved = count_elements(structures, first.elements) @ changes
    assert same.energies(structures) == pytest.approx(first.energies(structures) + moved, abs=1e-5)
    assert same.metadata["initial_weights_sha256"] == read_json(tmp_path / "first-seed3.json")["weights_sha256"]
    assert same.metadata["n_train"] == 6
    curve, _, _ = fit(tmp_path, "further", samples=16, **start)
    assert curve["loss"].iloc[0] < 0.5 * fit(tmp_path, "new", samples=16)[0]["loss"].iloc[0]
    with pytest.raises(InputError, match=r"a network with stem .* they must be alike"):
        fit(tmp_path, "wider", model={**MODEL, "stem": [[32, 4, 2]], "width": 32}, **start)
    with pytest.raises(InputError, match="none"):
        fit(tmp_path, "x", initial_weights="none.pt")


def test_labels_of_another_zero_change_the_energies_of_elements_alone():
    structures = [sheet(i) for i in range(8)]
    elements = sorted({symbol for atoms in structures for symbol in atoms.get_chemical_symbols()})
    before = dict.fromkeys([*elements, "Xe"], 1.0)
    predicted = np.array([atoms.info[keys.REF_ENERGY] for atoms in structures])
    zero = np.linspace(-300.0, 100.0, len(elements))
    for atoms, count in zip(structures, count_elements(structures, elements)):
        atoms.info[keys.REF_ENERGY] += count @ zero
    # What differs by element alone is taken up whole; an element that no structure has stays where it was.
    after = refit_reference_energies(before, structures, predicted)
    counts = count_elements(structures, list(before))
    moved = counts @ (np.array(list(after.values())) - np.array(list(before.values())))
    assert moved == pytest.approx([a.info[keys.REF_ENERGY] - e for a, e in zip(structures, predicted)], abs=1e-6)
    assert after["Xe"] == 1.0


def test_weights_of_the_same_training_are_taken_and_of_no_other(tmp_path, capsys):
    structures = [sheet(i) for i in range(8)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names[:6], "validation": names[6:]}
    model = {**MODEL, "training": {"samples": 6, "batch_size": 2}}

    def trained(name, *others, **changes):
        out, curve = tmp_path / name, tmp_path / f"{name}-curve.csv"
        changed = {**model, "training": {**model["training"], **changes}}
        train_model(name, changed, structures, splits, out, curve, "cpu", known=others)
        return "taken from" in capsys.readouterr().out

    assert not trained("first")
    assert trained("again", tmp_path / "nothing", tmp_path / "first")
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "first.pt").read_bytes()
    assert not trained("longer", tmp_path / "first", samples=8)
    assert not trained("none", tmp_path / "nothing")
    structures[0].info[keys.REF_ENERGY] += 1e-6
    assert not trained("other", tmp_path / "first")
    # A teacher's labels are as its weights say, and another machine rounds them otherwise.
    for atoms in structures:
        atoms.info |= {keys.TEACHER: "ednn 66ecd419", keys.TEACHER_ENERGY_STD: 0.008}
    assert not trained("student", tmp_path / "first")
    structures[0].info[keys.REF_ENERGY] += 1e-6
    structures[0].arrays[keys.REF_FORCES] += 1e-5
    assert trained("elsewhere", tmp_path / "student")
    structures[0].info[keys.TEACHER] = "ednn ed419666"
    assert not trained("pupil", tmp_path / "student")


@pytest.mark.medium
@pytest.mark.parametrize("model", [MODEL, {**MODEL, "symmetry": "mirrors", "head": [8]}])
def test_a_training_goes_on_with_further_blocks(tmp_path, model):
    _, first, structures = fit(tmp_path, "first", samples=80, model=model)
    blocks = {"blocks": model["blocks"] + 1, "dilations": [1, 3], "inner_widths": [model["width"], 4]}
    start = {"model": {**model, **blocks}, "initial_weights": str(tmp_path / "first.pt")}
    # What is new adds nothing: the energies are those that there were, however much wider the context is.
    _, same, _ = fit(tmp_path, "same", samples=8, learning_rate=1e-30, **start)
    assert same.network.context_px > first.network.context_px
    changes = np.array([same.reference_energies_eV[e] - first.reference_energies_eV[e] for e in first.elements])
    moved = count_elements(structures, first.elements) @ changes
    assert same.energies(structures) == pytest.approx(first.energies(structures) + moved, abs=1e-5)
    # And it is learned: its first layer as well, after its last one.
    _, further, _ = fit(tmp_path, "further", samples=40, **start)
    before, after = same.network.state_dict(), further.network.state_dict()
    new = [key for key in after if key.startswith("tile_network.blocks.1.") and "film" not in key]
    assert new
    assert all((after[key] - before[key]).abs().max() > 1e-4 for key in new)
    # What was there must be there still.
    with pytest.raises(InputError, match=r"a network with blocks 1; this one has 2, and they must be alike"):
        fit(tmp_path, "x", **{**start, "model": {**start["model"], "dilations": [2, 3]}})


def test_excluded_data_sets_are_not_learned_from(tmp_path):
    structures = [sheet(i) for i in range(8)]
    for atoms in structures[4:6]:
        atoms.info[keys.DATASET] = "other-10x2-rattle"
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    settings = {"samples": 8, "augmentation": {"pitch": 0.0}, "exclude": ["*-10x2-rattle"]}
    arguments = structures, {"train": names[:6], "validation": names[6:]}, tmp_path / "m", tmp_path / "m.csv", "cpu"
    assert train_model("m", {**MODEL, "training": settings}, *arguments).network is not None
    assert load_model(tmp_path / "m").metadata["n_train"] == 4
    del structures[0].info[keys.DATASET]  # of no data set: learned from
    train_model("m", {**MODEL, "training": settings}, *arguments)
    assert load_model(tmp_path / "m").metadata["n_train"] == 4


def test_oversampled_data_sets_come_more_often(tmp_path, monkeypatch):
    structures = [sheet(i) for i in range(6)]
    for atoms, dataset in zip(structures, ("small-10x2-rattle", "other-rattle", "third")):
        atoms.info[keys.DATASET] = dataset
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names[:3], "validation": names[3:]}
    learned_from = []

    class Enough(Exception):
        pass

    def look(potential, train_sheets, *rest, **more):
        learned_from.append([sheet.energy_eV for sheet in train_sheets])
        raise Enough

    monkeypatch.setattr("extensive.training.fit.train", look)
    for oversample in ({}, {"*-10x2-rattle": 3, "*-rattle": 2, "small-*": 9}):
        settings = {"augmentation": {"pitch": 0.0}, "oversample": oversample}
        with pytest.raises(Enough):
            train_model("m", {**MODEL, "training": settings}, structures, splits, tmp_path / "m", tmp_path / "m.csv")
    (first, second, third), often = learned_from
    assert often == [first] * 3 + [second] * 2 + [third]
    with pytest.raises(InputError, match=r"training\.oversample\.x: 0; structures come at least once"):
        TrainingSettings(oversample={"x": 0})


def test_the_papers_recipe_learns_from_image_files(tmp_path):
    model = {
        "network": "cnn",
        "form": "paper",
        "channels": "Z",
        "image_px": 32,
        "sigma_A": 0.2,
        "pixel_size_A": 0.15,
    }
    recipe = {
        "samples": 36,
        "forces_weight": 0.0,
        "scaling": "minmax",
        "schedule": "constant",
        "learning_rate": 1e-4,
        "ema": 0.0,
        "augmentation": None,
    }
    structures = [sheet(i) for i in range(9)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    splits = {"train": names[:6], "validation": names[6:]}
    write_images(tmp_path / "a.h5", structures, channels="Z", pixel_size_A=0.15, sigma_A=0.2, multiple_px=32)
    weights = []
    for files in ([tmp_path / "a.h5"], []):
        potential = train_model(
            "cnn",
            {**model, "training": recipe},
            structures,
            splits,
            tmp_path / "cnn",
            tmp_path / "cnn.csv",
            "cpu",
            files,
        )
        weights.append(potential.network.state_dict())
    # Images read from the file are those that would be made here.
    assert all(torch.allclose(weights[0][key], weights[1][key], atol=1e-5) for key in weights[0])
    energies = [structures[i].info[keys.REF_ENERGY] for i in range(6)]
    assert potential.energy_scale_eV == pytest.approx(np.ptp(energies), rel=1e-6)
    with pytest.raises(InputError, match=r"sigma_A 0\.2"):
        train_model(
            "cnn",
            {**model, "sigma_A": 0.3, "training": recipe},
            structures,
            splits,
            tmp_path / "x",
            tmp_path / "x.csv",
            "cpu",
            [tmp_path / "a.h5"],
        )


def test_learning_curve_subsets_are_nested():
    members = [str(i) for i in range(30)]
    assert set(choose(members, 5, 0)) < set(choose(members, 12, 0)) < set(members)
    assert choose(members, None, 0) == members


def test_wrong_settings_get_one_line():
    for wrong in ({"loss": "mae"}, {"samples": 0}, {"ema": 1.0}, {"batchsize": 3}):
        with pytest.raises(InputError, match=rf"training\.{next(iter(wrong))}"):
            TrainingSettings.from_dict(wrong)


# ---- killed and resumed

SCRIPT = """
import json, os, signal, sys, torch
from extensive.io import read_json, read_structures
from extensive.training import loop
from extensive.training.fit import train_model
torch.set_num_threads(1)
loop.CHECKPOINT_EVERY_S = 0.0
save = loop.save_checkpoint
def save_and_be_killed(folder, stamp, state):
    save(folder, stamp, state)
    if state["epoch"] == 7:
        os.kill(os.getpid(), signal.SIGKILL)
loop.save_checkpoint = save_and_be_killed
model, out = json.loads(sys.argv[1]), sys.argv[2]
structures = read_structures("data.extxyz")
splits = read_json("splits.json")
train_model("m", model, structures, splits, out, out + ".csv", "cpu", (), "checkpoints-" + sys.argv[3])
"""


@pytest.mark.medium
def test_killed_and_resumed_training_ends_with_the_same_weights(tmp_path):
    structures = [sheet(i) for i in range(10)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    write_structures(tmp_path / "data.extxyz", structures)
    structures = read_structures(tmp_path / "data.extxyz")
    write_json(tmp_path / "splits.json", {"train": names[:8], "validation": names[8:]})
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    training = {"samples": 480, "batch_size": 4, "optimizer": "muon", "ema": 0.9, "validations": 4}

    # Killed at a mark of progress, so that it does not matter how busy the machine is.
    arguments = [sys.executable, "script.py", json.dumps({**MODEL, "training": training}), "killed", "b"]
    killed = subprocess.run(arguments, cwd=tmp_path, stderr=subprocess.DEVNULL, timeout=600)
    assert killed.returncode == -signal.SIGKILL
    state = tmp_path / "checkpoints-b" / "state.pt"
    assert not (tmp_path / "killed.pt").exists()
    assert torch.load(state, weights_only=True)["epoch"] == 7
    model = {**MODEL, "training": training}
    for name, folder in (("through", None), ("killed", tmp_path / "checkpoints-b")):
        path = tmp_path / name
        again = [structures, read_json(tmp_path / "splits.json"), path, tmp_path / f"{name}.csv", "cpu", ()]
        train_model("m", model, *again, folder)
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("through", "killed"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    curves = [pd.read_csv(tmp_path / f"{name}.csv").drop(columns="seconds") for name in ("through", "killed")]
    pd.testing.assert_frame_equal(*curves)


# ---- model systems


@pytest.mark.medium
def test_ising_network_is_right_on_lattices_larger_than_it_was_trained_on(tmp_path):
    spec = {"length": 8, "samples": 1500, "sweeps": 20, "temperatures": [1.0, 4.0]}
    settings = IsingSettings(steps=800, batch_size=64)
    potential = train_ising(generate_ising(spec, 1), settings, 0, tmp_path / "ising", tmp_path / "ising.csv")
    large = generate_ising({**spec, "length": 32, "samples": 20}, 2)
    table = predict_ising(load_model(tmp_path / "ising"), large, held_back=False)
    error = (table["energy_predicted_eV"] - table["energy_dft_eV"]).abs() / 32**2
    assert error.median() < 0.05
    assert table["energy_predicted_eV"].to_numpy() == pytest.approx(
        potential.energy_scale_eV
        * potential.network(torch.as_tensor(large["spins"], dtype=torch.float32)[:, None]).detach().numpy()
    )


def test_ising_symmetries_leave_the_energy():
    from extensive.structures.ising import ising_energy

    lattices = generate_ising({"length": 6, "samples": 20, "sweeps": 5, "temperatures": [1.0, 4.0]}, 3)
    rng = np.random.default_rng(0)
    spins, energies = torch.as_tensor(lattices["spins"]), torch.as_tensor(lattices["energies"])
    for _ in range(8):
        changed, same = symmetric(spins, energies, rng)
        np.testing.assert_array_equal(ising_energy(changed.numpy()), same.numpy())


@pytest.mark.medium
@pytest.mark.parametrize("dimensions", [2, 3])
def test_dimers_energy_and_separation_are_read_off_images(tmp_path, dimensions):
    from extensive.structures.dimers import generate_dimers

    spec = {"dimensions": dimensions, "count": 60, "element": "Ar", "box_A": 12.8, "margin_A": 1.6}
    structures = generate_dimers(f"dimer-{dimensions}d", {**spec, "separation_A": [3.2, 7.5]}, 1)
    for atoms in structures:
        ratio = (3.4 / atoms.info["separation_A"]) ** 6
        atoms.info[keys.REF_ENERGY] = 4 * 0.0103 * (ratio**2 - ratio)
    settings = DimerSettings(steps=150, batch_size=16 if dimensions == 2 else 32, separation_A=(3.4, 7.0))
    tables = train_dimers("d", structures, settings, 0, tmp_path / "d", tmp_path / "d.csv")
    table = tables["test"]
    error = (table["separation_predicted_A"] - table["separation_true_A"]).abs().mean()
    spread = (table["separation_true_A"] - table["separation_true_A"].mean()).abs().mean()
    assert error < (0.6 if dimensions == 2 else 0.97) * spread
    outside = tables["extrapolation"]["separation_true_A"]
    assert len(outside)
    assert ((outside < 3.4) | (outside > 7.0)).all()
    assert not set(tables["test"]["structure_id"]) & set(tables["extrapolation"]["structure_id"])
