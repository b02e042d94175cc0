"""Labels by trained networks: what they hold, what a killed job keeps, and who says that it learned from them."""

import numpy as np
import pytest
from ase import Atoms
from taught_sheets import sheet

from extensive import keys
from extensive.cli import main
from extensive.errors import InputError
from extensive.evaluation.predictions import students_shown, taught_models
from extensive.inference.calculator import Calculator
from extensive.io import read_json
from extensive.models import load_model
from extensive.reference.dynamics import FRAME, Dynamics
from extensive.structures.lattices import graphene
from extensive.teaching import chunks
from extensive.teaching.table import COLUMNS, teachers_table
from extensive.teaching.teacher import Teacher
from extensive.training.fit import train_model
from extensive.training.splits import assign_taught, check_honest, check_patterns

MODELS = ["results/published/models/ednn.pt", "results/published/models/ednn-seed1.pt"]
DYNAMICS = Dynamics((300.0,), 3.0, 0.03, frames=5, save_every=2)
# Of the weights, by which a label names them.
DIGESTS = [read_json(model.replace(".pt", ".json"))["weights_sha256"][:8] for model in MODELS]
TINY = {
    "network": "cnn", "form": "convolutional", "channels": ["C"], "pixel_size_A": 0.4, "sigma_A": 0.5,
    "pitch_channels": True, "image_px": 12, "stem": [[8, 4, 2]], "width": 8, "blocks": 1, "head": [8],
}  # fmt: skip


def rattled(index: int, sampler: str = "rattle", dataset: str = "graphene-taught") -> Atoms:
    atoms = graphene((5, 3))
    atoms.positions[:, :2] += 0.02 * np.random.default_rng(index).standard_normal((len(atoms), 2))
    atoms.positions = atoms.positions.round(6)
    name = f"{dataset}-{index:05d}"
    atoms.info = {keys.STRUCTURE_ID: name, keys.DATASET: dataset, keys.FAMILY: "graphene", keys.SAMPLER: sampler}
    atoms.info[keys.PARENT] = name
    return atoms


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(MODELS, shift_average=False)


def test_a_label_is_the_mean_with_its_spread_and_says_whose_it_is(teacher):
    (label,) = teacher.label([rattled(0)])
    ensemble = Calculator(MODELS)
    atoms = rattled(0)
    atoms.calc = ensemble
    assert label.info[keys.REF_ENERGY] == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
    np.testing.assert_allclose(label.arrays[keys.REF_FORCES], atoms.get_forces(), atol=1e-4)
    spread = ensemble.uncertainty()
    assert label.info[keys.TEACHER_ENERGY_STD] == pytest.approx(spread["energy"], abs=1e-3)
    np.testing.assert_allclose(label.arrays[keys.TEACHER_FORCES_STD], spread["forces"], atol=1e-4)
    assert label.info[keys.TEACHER] == f"ednn {DIGESTS[0]}, ednn-seed1 {DIGESTS[1]}"


@pytest.mark.medium
def test_shifts_count_as_members_of_the_teacher():
    (label,) = Teacher(MODELS[:1]).label([rattled(1)])
    atoms = rattled(1)
    atoms.calc = Calculator(MODELS[:1], symmetric=True)
    assert label.info[keys.REF_ENERGY] == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
    assert label.info[keys.TEACHER_ENERGY_STD] == pytest.approx(atoms.calc.uncertainty()["energy"], rel=0.02)
    assert label.info[keys.TEACHER] == f"ednn {DIGESTS[0]}; mean over 8 shifts"


def test_a_sheet_outside_what_the_teacher_knows_is_refused(teacher):
    atoms = rattled(2)
    atoms.set_cell(atoms.cell * 1.2, scale_atoms=True)
    with pytest.raises(InputError, match="graphene-taught-00002"):
        teacher.label([rattled(0), atoms])


def test_a_chunk_leaves_out_what_the_teacher_does_not_know_and_most_of_it_is_a_mistake(teacher, tmp_path, capsys):
    strange = rattled(2)
    strange.set_cell(strange.cell * 1.2, scale_atoms=True)
    members = [(0, rattled(0)), (1, rattled(1)), (2, strange)]
    labels = chunks.teach_chunk(members, teacher, tmp_path / "some")
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in labels] == ["graphene-taught-00000", "graphene-taught-00001"]
    said = capsys.readouterr().out
    assert "1 of 3 (" in said
    assert "graphene-taught-00002" in said
    with pytest.raises(InputError, match=r"1 of 1 sheets are outside .*graphene-taught-00002"):
        chunks.teach_chunk(members[2:], teacher, tmp_path / "most")


@pytest.mark.parametrize("dynamics", [None, DYNAMICS], ids=["structures", "trajectory"])
def test_a_killed_chunk_goes_on_and_ends_the_same(teacher, tmp_path, monkeypatch, dynamics):
    members = [(0, rattled(0, "md"))] if dynamics else [(index, rattled(index)) for index in range(5)]
    whole = chunks.teach_chunk(members, teacher, tmp_path / "whole", dynamics, 7, batch=2)
    label, calls = Teacher.label, []

    def counted(self, structures):
        calls.append(len(structures))
        if sum(calls) > 4:
            raise KeyboardInterrupt
        return label(self, structures)

    monkeypatch.setattr(Teacher, "label", counted)
    with pytest.raises(KeyboardInterrupt):
        chunks.teach_chunk(members, teacher, tmp_path / "killed", dynamics, 7, batch=2)
    calls.clear()
    resumed = chunks.teach_chunk(members, teacher, tmp_path / "killed", dynamics, 7, batch=2)
    assert sum(calls) == 1
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in resumed] == [atoms.info[keys.STRUCTURE_ID] for atoms in whole]
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        assert one.info[keys.REF_ENERGY] == pytest.approx(other.info[keys.REF_ENERGY], rel=1e-9)
    if dynamics:
        assert [atoms.info[FRAME] for atoms in resumed] == list(range(5))
        assert {atoms.info[keys.PARENT] for atoms in resumed} == {"graphene-taught-00000"}


def taught(index: int, dataset: str = "taught") -> Atoms:
    atoms = sheet(index, dataset)
    atoms.info |= {keys.TEACHER: "ednn 66ecd419", keys.TEACHER_ENERGY_STD: 0.008}
    atoms.arrays[keys.TEACHER_FORCES_STD] = np.full((8, 3), 0.01)
    return atoms


def test_a_network_says_that_it_learned_from_a_teacher(tmp_path, capsys):
    structures = [sheet(0), sheet(1), *(taught(index) for index in range(2, 8))]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    model = {**TINY, "training": {"samples": 16, "batch_size": 4, "validations": 1, "augmentation": {"mirrors": True}}}
    splits = {"train": names[:6], "validation": names[6:]}
    train_model("student", model, structures, splits, tmp_path / "student", tmp_path / "curve.csv", "cpu")
    metadata = load_model(tmp_path / "student").metadata
    assert metadata["teachers"] == ["ednn 66ecd419"]
    assert metadata["n_teacher_labels"] == 4
    assert metadata["teacher_energy_std_meV_per_atom"] == pytest.approx(1.0)
    assert main(["inspect", str(tmp_path / "student")]) == 0
    assert "learned from 4 labels that are not DFT's but by ednn 66ecd419" in capsys.readouterr().out
    table = teachers_table({"taught": structures[2:]}, [tmp_path / "student.json"])
    assert tuple(table.columns) == COLUMNS
    assert table.iloc[0].tolist() == ["taught", 6, "ednn 66ecd419", pytest.approx(1.0), pytest.approx(10.0), "student"]
    assert taught_models(tmp_path) == {"student": ["ednn 66ecd419"]}
    # A network that goes on from it knows what it knew.
    further = {**model, "training": {**model["training"], "initial_weights": str(tmp_path / "student.pt")}}
    splits = {"train": names[:2], "validation": names[2:]}
    train_model("further", further, structures, splits, tmp_path / "further", tmp_path / "curve.csv", "cpu")
    assert taught_models(tmp_path)["further"] == ["ednn 66ecd419"]
    assert main(["inspect", str(tmp_path / "further")]) == 0
    assert "began with weights that learned from labels that are not DFT's but by ednn 66" in capsys.readouterr().out


def test_a_network_of_dft_labels_alone_says_nothing(tmp_path):
    structures = [sheet(index) for index in range(6)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    model = {**TINY, "training": {"samples": 8, "batch_size": 4, "validations": 1}}
    splits = {"train": names[:4], "validation": names[4:]}
    train_model("plain", model, structures, splits, tmp_path / "plain", tmp_path / "curve.csv", "cpu")
    assert "teachers" not in read_json(tmp_path / "plain.json")["metadata"]
    assert taught_models(tmp_path) == {}


def test_figures_of_a_students_predictions_name_it():
    models = {name: {"training": {"teacher_labels": name == "cnn"}} for name in ("cnn", "cnn-forces", "ednn")}
    files = [f"results/x/predictions/{name}.csv" for name in ("cnn-forces-test", "ednn-test", "cnn-dimer-2d")]
    assert students_shown(models, [*files, "results/x/timings/dft.csv"]) == []
    assert students_shown(models, [*files, "results/x/predictions/cnn-seed1-symmetric-independent-md.csv"]) == ["cnn"]


def test_what_a_teacher_labelled_is_tested_in_sets_of_its_own():
    computed = [sheet(index) for index in range(20)]
    ids = [atoms.info[keys.STRUCTURE_ID] for atoms in computed]
    splits = {name: [] for name in keys.SETS} | {"train": ids[:10], "validation": ids[10:15], "test": ids[15:]}
    frames = [taught(index, "md") for index in range(8)]
    for atoms in frames:
        atoms.info |= {keys.SAMPLER: "md", keys.PARENT: "md-00000"}
    others = [taught(index, "rattle") for index in range(20)]
    far = [taught(index, "far") for index in range(3)]
    set_of = {"md": "development", "rattle": "development", "far": "independent-md"}
    found = assign_taught(splits, [*frames, *others, *far], set_of, 0)
    check_honest(found, [*computed, *frames, *others, *far])
    assert found["test"] == splits["test"]
    assert len(found["teacher-test"]) == 2 + 2
    assert len(found["validation"]) == 5 + 2
    assert len(found["train"]) == 10 + 6 + 16
    assert found["teacher-independent-md"] == [f"far-{index:05d}" for index in range(3)]
    with pytest.raises(InputError, match="far-00000: labelled by a teacher, so it cannot be of the set 'supercells'"):
        assign_taught(splits, far, {"far": "supercells"}, 0)


@pytest.mark.parametrize("key", ["only", "exclude", "oversample"])
@pytest.mark.parametrize(("pattern", "dataset"), [("far-md", "far-md"), ("*-md", "far-md"), ("large*", "large-240")])
def test_a_training_may_not_name_what_it_is_tested_on(key, pattern, dataset):
    sets = {"near-md": "train", "graphene-rattle": "development", "far-md": "independent-md", "large-240": "supercells"}
    training = {"only": [], "exclude": [], "oversample": {}} | {key: {pattern: 2}}
    with pytest.raises(
        InputError, match=rf"models\.ednn\.training\.{key}: .* names {dataset}, whose set is {sets[dataset]}"
    ):
        check_patterns("ednn", training, sets)
    check_patterns("ednn", training | {key: {"near-*": 2, "graphene-*": 3}}, sets)


def test_students_of_a_figure_are_found_beside_files_of_other_names():
    models = {name: {"training": {"teacher_labels": name == "small"}} for name in ("small", "ednn")}
    names = ("cnn-argon", "small-seed1-symmetric-ensemble-test", "ednn-test", "notes")
    assert students_shown(models, [f"results/x/predictions/{name}.csv" for name in names]) == ["small"]
