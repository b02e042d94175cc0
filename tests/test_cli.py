"""The command line end to end on tiny data: the verbs call what the rules call, and say one line when wrong."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from own_models import rattled, write_model

from extensive import keys
from extensive.cli import main
from extensive.io import read_structures
from extensive.keys import TIMING_COLUMNS
from extensive.models import load_model

ROOT = Path(__file__).resolve().parents[1]
VERBS = ("generate", "label", "rasterize", "train", "predict", "sheet", "time", "inspect", "check")

CONFIG = """
models:
  ednn:
    {network: ednn, channels: [C], pixel_size_A: 0.4, sigma_A: 0.5, stem: [[4, 4, 2]], width: 4, blocks: 0, head: [4],
     focus_px: 4, training: {samples: 24, validations: 1}}
training: {splits: {block: 3}}
timing: {networks: {models: [ednn]}}
structures: {datasets: {mine: {files: [FILES]}}}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


def sheets(path, count=6, labels=True):
    found = []
    for seed in range(count):
        atoms = rattled(seed=seed)
        if labels:
            atoms.info["REF_energy"] = -9.2 * len(atoms) + 0.01 * seed
            atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
        found.append(atoms)
    ase.io.write(path, found)
    return found


def test_the_installed_command_knows_every_verb():
    done = subprocess.run([Path(sys.executable).with_name("extensive"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_states_units_and_defaults(verb, capsys):
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    if verb not in ("inspect", "check"):
        assert any(unit in text for unit in ("Angstrom", "eV", "seconds", "meV/atom"))
        assert "[default:" in text


def test_generated_structures_are_the_workflow_s(tmp_path):
    from extensive.config import load_config
    from extensive.structures.datasets import generate_dataset

    config = load_config(ROOT / "config/smoke.yaml")
    assert (
        main(["generate", "hbn-rattle", str(tmp_path / "a.extxyz"), "--config", str(ROOT / "config/smoke.yaml")]) == 0
    )
    expected = generate_dataset("hbn-rattle", config["structures"]["datasets"]["hbn-rattle"], config["seed"])
    assert read_structures(tmp_path / "a.extxyz") == expected


def test_predictions_are_the_model_s_for_any_format_of_ase(model, tmp_path, capsys):
    atoms = rattled()
    energy, forces = load_model(model).energies_and_forces([atoms])
    for name in ("in.extxyz", "in.traj", "in.json"):
        ase.io.write(tmp_path / name, atoms)
        assert main(["predict", str(tmp_path / name), str(tmp_path / "out.extxyz"), "--model", str(model)]) == 0
        found = ase.io.read(tmp_path / "out.extxyz")
        assert found.get_potential_energy() == pytest.approx(energy[0], abs=1e-5)
        np.testing.assert_allclose(found.get_forces(), forces[0], atol=1e-5)
    assert capsys.readouterr().err == ""  # no bar where there is no terminal


def test_predicting_labelled_structures_states_the_error(model, tmp_path, capsys):
    found = sheets(tmp_path / "in.extxyz", 3)
    assert main(["predict", str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz"), "--model", str(model)]) == 0
    energies = load_model(model).energies(found)
    mean = np.mean([1000 * abs(e - a.info["REF_energy"]) / len(a) for e, a in zip(energies, found, strict=True)])
    assert f"labelled structures: {mean:.3f} meV/atom" in capsys.readouterr().out


def test_an_ensemble_gives_its_spread(model, tmp_path):
    other = write_model(tmp_path / "other", seed=1)
    ase.io.write(tmp_path / "in.extxyz", rattled())
    options = ["--model", str(model), "--model", str(other)]
    assert main(["predict", str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz"), *options]) == 0
    assert ase.io.read(tmp_path / "out.extxyz").info["energy_uncertainty"] > 0


@pytest.mark.parametrize(
    ("last", "says"), [("good", "2 24 atoms"), ("rippled", "structure 2"), ("label", "frame 3: REF_energy")]
)
def test_frames_are_counted_as_in_the_file(model, tmp_path, capsys, last, says):
    sheet = rattled()
    if last == "rippled":
        sheet.positions[::2, 2] += 1.0
    if last == "label":
        sheet.info["REF_energy"] = "none"
    ase.io.write(tmp_path / "in.extxyz", [Atoms("C", cell=[9, 9, 9]), rattled(), sheet])
    status = main(["predict", str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz"), "--model", str(model)])
    assert status == (0 if last == "good" else 2)
    said = capsys.readouterr()
    assert says in said.out + said.err


def test_stress_in_other_units_is_left_out_or_refused_before_any_calculation(model, tmp_path, capsys, monkeypatch):
    sheets = [rattled(), rattled(seed=1)]
    for atoms, stress in zip(sheets, (0.01, 4.14), strict=True):
        atoms.info[keys.REF_STRESS] = np.full(6, stress)
    ase.io.write(tmp_path / "in.extxyz", sheets)
    arguments = ["predict", str(tmp_path / "in.extxyz"), str(tmp_path / "out.extxyz"), "--model", str(model)]
    assert main(arguments) == 0
    said, line = capsys.readouterr(), "in.extxyz, frame 2: a stress of 4.14; the unit must be eV/Angstrom^3"
    assert said.err.startswith("extensive: note: ")
    assert line in said.err
    assert "stresses are left out" in said.err
    assert "stress" not in said.out
    assert all(keys.REF_STRESS not in atoms.info for atoms in read_structures(tmp_path / "out.extxyz"))
    monkeypatch.setattr("extensive.inference.calculator.Calculator.calculate", None)
    assert main([*arguments, "--stress-key", keys.REF_STRESS]) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--displacement-A", "0.1"], ["--seed", "3"]])
def test_options_of_made_sheets_are_refused_beside_a_file(option, capsys):
    assert main(["sheet", "ednn", "--file", "mine.extxyz", *option]) == 2
    assert f"--file and {option[0]}: give one of the two" in capsys.readouterr().err


def test_rasterized_images_hold_energies_and_units(tmp_path):
    found = sheets(tmp_path / "mine.extxyz", 3)
    options = ["--pixel-size-A", "0.4", "--sigma-A", "0.5", "--multiple-px", "4"]
    assert main(["rasterize", str(tmp_path / "mine.extxyz"), str(tmp_path / "mine.h5"), *options]) == 0
    with h5py.File(tmp_path / "mine.h5") as file:
        assert file["images"].shape == (3, 1, 20, 20)
        assert file.attrs["energy_unit"] == "eV"
        np.testing.assert_allclose(file["energies"], [atoms.info["REF_energy"] for atoms in found])
        # Gaussians of weight Z = 6 add up to 6 * 2 pi sigma^2 per atom.
        area = np.prod(file["cells"][0]) / 400
        total = float(file["images"][0].sum()) * area
    assert total == pytest.approx(24 * 6 * 2 * np.pi * 0.5**2, rel=1e-4)


@pytest.mark.medium
def test_own_labelled_files_become_a_tested_model(tmp_path, capsys):
    sheets(tmp_path / "mine.extxyz", 9)
    (tmp_path / "config.yaml").write_text(CONFIG.replace("FILES", str(tmp_path / "mine.extxyz")))
    assert main(["check", str(tmp_path / "config.yaml")]) == 0
    assert main(["train", str(tmp_path / "config.yaml"), str(tmp_path / "mine.extxyz"), "--out", str(tmp_path)]) == 0
    assert "meV/atom" in capsys.readouterr().out
    splits = json.loads((tmp_path / "splits.json").read_text())
    assert [len(splits[part]) for part in ("train", "validation", "test")] == [3, 3, 3]
    assert len(pd.read_csv(tmp_path / "ednn-test.csv")) == 3
    metadata = load_model(tmp_path / "ednn").metadata
    assert metadata["families"] == ["own"]
    assert 1.3 < metadata["bond_range_A"][0] <= metadata["bond_range_A"][1] < 1.5


def test_a_part_of_the_energy_is_tested_against_that_part(tmp_path, capsys):
    found = sheets(tmp_path / "mine.extxyz", 9)
    for number, atoms in enumerate(found):
        atoms.info[keys.REF_COMPONENTS] = json.dumps({"kinetic": 3.0 * len(atoms) + 0.1 * number})
    ase.io.write(tmp_path / "mine.extxyz", found)
    text = CONFIG.split("structures:")[0].replace(
        "samples: 24", "samples: 8, target: kinetic, forces_weight: 0, labels: 2"
    )
    (tmp_path / "config.yaml").write_text(text)
    arguments = ["train", str(tmp_path / "config.yaml"), str(tmp_path / "mine.extxyz"), "--out", str(tmp_path)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "trained on 2 structures" in said.out
    assert "epoch" not in said.err  # no bar where there is no terminal
    table = pd.read_csv(tmp_path / "ednn-test.csv")
    wanted = [72.0 + 0.1 * int(name[-5:]) for name in table.structure_id]
    np.testing.assert_allclose(table.energy_dft_eV, wanted)
    assert (table.energy_predicted_eV - table.energy_dft_eV).abs().max() < 20
    # A label that lacks the part is refused before the training.
    del found[int(table.structure_id[0][-5:])].info[keys.REF_COMPONENTS]
    ase.io.write(tmp_path / "mine.extxyz", found)
    (tmp_path / "ednn.pt").unlink()
    assert main(arguments) == 2
    assert "no REF_components" in capsys.readouterr().err
    assert not (tmp_path / "ednn.pt").exists()


def test_results_of_another_code_are_labels(tmp_path):
    """ASE moves `energy` and `forces` of a file into a calculator; they are found there."""
    from extensive.structures.user_files import read_labelled

    lines = ["4", 'Lattice="4 0 0 0 4 0 0 0 10" Properties=species:S:1:pos:R:3:forces:R:3 energy=-36.5 pbc="T T F"']
    lines += [f"C {x} {y} 5 0.1 0 0" for x, y in ((0, 0), (2, 0), (0, 2), (2, 2))]
    (tmp_path / "code.xyz").write_text("\n".join(lines) + "\n")
    (atoms,) = read_labelled([tmp_path / "code.xyz"], "mine", with_forces=True)
    assert atoms.info["REF_energy"] == -36.5
    assert atoms.arrays["REF_forces"][0, 0] == 0.1


def test_a_trajectory_stays_on_one_side(tmp_path):
    from extensive.structures.user_files import read_labelled
    from extensive.training.splits import assign_sets, check_honest

    for name in ("a.extxyz", "b.extxyz"):
        sheets(tmp_path / name, 4)
    found = read_labelled([tmp_path / "a.extxyz", tmp_path / "b.extxyz"], "mine", sampler="md")
    assert len({atoms.info["parent"] for atoms in found}) == 2
    splits = assign_sets(found[:4], {"mine": "development"}, 0)
    check_honest(splits, found[:4])
    assert not splits["validation"]


@pytest.mark.medium
def test_own_images_become_a_tested_and_timed_model(tmp_path):
    """Energy linear in the brightness of the image, per pixel: what a sum over tiles learns at once."""
    from extensive.timing.images import time_images

    rng = np.random.default_rng(0)
    images = rng.random((24, 8, 8)).astype("f4")
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["images"], file["energies"] = images, images.sum((1, 2)) - 100.0
        file.attrs["energy_unit"] = "eV"
    text = CONFIG.replace("channels: [C]", f"images: {tmp_path / 'mine.h5'}").split("structures:")[0]
    text = text.replace("samples: 24", "samples: 600, forces_weight: 0, augmentation: null, learning_rate: 0.02")
    (tmp_path / "config.yaml").write_text(text)
    assert main(["check", str(tmp_path / "config.yaml")]) == 0
    assert main(["train", str(tmp_path / "config.yaml"), "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "ednn-test.csv")
    errors = (table.energy_predicted_eV - table.energy_dft_eV).abs()
    assert errors.mean() < 0.5 * table.energy_dft_eV.std()
    time_images(tmp_path / "ednn", tmp_path / "mine.h5", 1, tmp_path / "times.csv")
    times = pd.read_csv(tmp_path / "times.csv")
    assert tuple(times.columns) == TIMING_COLUMNS
    assert list(times.n_atoms) == [1, 4, 16, 64]


def test_sheet_and_its_file_agree(model, tmp_path, capsys):
    atoms = rattled((6, 4))
    ase.io.write(tmp_path / "mine.extxyz", atoms)
    partial = tmp_path / "partial.json"
    options = [
        "--dtype",
        "float32",
        "--threads",
        "1",
        "--out",
        str(tmp_path / "sheet.csv"),
        "--checkpoint",
        str(partial),
    ]
    assert main(["sheet", str(model), "--file", str(tmp_path / "mine.extxyz"), *options]) == 0
    assert "96 atoms" in capsys.readouterr().out
    energy = pd.read_csv(tmp_path / "sheet.csv").energy_eV[0]
    assert energy == pytest.approx(load_model(model).energies([atoms])[0], rel=1e-5)
    assert not partial.exists()


def test_of_several_sheets_in_a_file_the_first_is_evaluated_with_a_line(model, tmp_path, capsys):
    ase.io.write(tmp_path / "two.extxyz", [rattled((6, 4)), rattled((3, 2))])
    assert main(["sheet", str(model), "--file", str(tmp_path / "two.extxyz"), "--threads", "1"]) == 0
    said = capsys.readouterr()
    assert "96 atoms" in said.out
    assert "two.extxyz: holds several structures; the first alone is evaluated" in said.err


def test_times_are_printed_and_written(model, tmp_path, capsys):
    options = ["--cells", "1", "--supercell", "3", "2", "--dtypes", "float32", "--repeats", "1", "--threads", "1"]
    assert main(["time", str(model), *options, "--out", str(tmp_path / "times.csv"), "--device", "cpu"]) == 0
    assert set(pd.read_csv(tmp_path / "times.csv").method) == {"ednn-tiled", "ednn-fused"}
    assert "us/atom" in capsys.readouterr().out


def test_inspection_shows_what_a_model_was_trained_on(model, capsys):
    assert main(["inspect", f"{model}.pt"]) == 0
    text = capsys.readouterr().out
    assert "ednn, form convolutional" in text
    assert "bond_range_A" in text
    assert main(["inspect", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["elements"] == ["B", "C", "N"]


@pytest.mark.parametrize("preset", ["config", "smoke", "paper"])
def test_the_presets_are_right(preset, capsys):
    assert main(["check", str(ROOT / f"config/{preset}.yaml")]) == 0
    assert "core-hours" in capsys.readouterr().out


def test_check_prints_all_defaults(tmp_path, capsys):
    import yaml

    (tmp_path / "config.yaml").write_text("run: mine\n")
    assert main(["check", str(tmp_path / "config.yaml"), "--full"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["reference"]["dft"]["xc"] == "PBE"
