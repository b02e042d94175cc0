"""Hexagonal and chiral cells through the stages: made, labelled by springs, learned from, judged beside rectangles."""

import numpy as np
import pytest
from honeycombs import spring_labelled
from own_models import write_model

from extensive import keys
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.evaluation.predict import predict
from extensive.images.placement import rectangular
from extensive.models import load_model
from extensive.reference.dynamics import Dynamics, run_trajectory
from extensive.structures.datasets import generate_dataset
from extensive.structures.frame import is_aligned
from extensive.structures.lattices import bonds, graphene, laid_along_x
from extensive.training.data import ShapeRule, attach_images, make_sheets, training_batches
from extensive.training.fit import train_model
from extensive.training.loop import group_errors
from extensive.training.splits import assign_sets

CELLS = {
    "rectangular-rattle": {"cell": "rectangular", "supercell": [4, 2]},
    "hexagonal-rattle": {"cell": "hexagonal", "supercell": [4, 4]},
    "chiral-rattle": {"cell": {"chiral": [3, 1]}, "supercell": [1, 1]},
}
HELD_BACK = {
    "hexagonal-cells-3x3": {"cell": "hexagonal", "supercell": [3, 3], "set": keys.HEXAGONAL_CELLS},
    "chiral-cells-2-1": {"cell": {"chiral": [2, 1]}, "supercell": [2, 2], "set": keys.CHIRAL_CELLS},
    "rectangles": {"cell": "rectangular", "supercell": [3, 3], "set": keys.SUPERCELLS},
}
EDNN = {
    "network": "ednn", "tile_network": "convolutional", "channels": ["C"], "pixel_size_A": 0.4, "sigma_A": 0.5,
    "pitch_channels": True, "focus_px": 4, "stem": [[16, 4, 2]], "width": 16, "blocks": 2, "head": [16],
}  # fmt: skip


def labelled(atoms):
    return spring_labelled(atoms)[0]


def config():
    entries = {name: {"count": 20, **spec} for name, spec in CELLS.items()}
    entries |= {name: {"count": 4, **spec} for name, spec in HELD_BACK.items()}
    shared = {"family": "graphene", "sampler": "rattle", "displacement_A": [0.03, 0.05], "strain": 0.01}
    return complete_config({"structures": {"datasets": {name: {**shared, **spec} for name, spec in entries.items()}}})


def model(**changes):
    training = {"samples": 1000, "batch_size": 4, "optimizer": "muon", "learning_rate": 3e-3, "validations": 2}
    training |= {"energy_weight": 0.03, "final_energy_weight": 1.0}
    entry = {**EDNN, "training": {**training, **changes.pop("training", {})}, **changes}
    return complete_config({"models": {"x": entry}})["models"]["x"]


@pytest.mark.parametrize("family", ["graphene", "hbn"])
def test_the_smallest_cell_needs_no_room_for_defects_that_its_family_lacks(family):
    entry = {"family": family, "sampler": "pristine", "count": 1, "cell": "hexagonal", "supercell": [1, 1]}
    spec = complete_config({"structures": {"datasets": {"x": entry}}})["structures"]["datasets"]["x"]
    assert len(generate_dataset("x", spec, 0)[0]) == 2
    for changes in ({"defects": [2, 1]}, {"family": [family, f"{family}-vacancy"]}):
        with pytest.raises(InputError, match="defects"):
            generate_dataset("x", {**spec, **changes}, 0)


@pytest.fixture(scope="module")
def structures():
    datasets = config()["structures"]["datasets"]
    return [labelled(atoms) for name, spec in datasets.items() for atoms in generate_dataset(name, spec, 3)]


@pytest.fixture(scope="module")
def splits(structures):
    sets = {name: spec["set"] for name, spec in config()["structures"]["datasets"].items()}
    return assign_sets(structures, sets, seed=1)


@pytest.mark.slow
def test_cells_of_all_shapes_are_learned_and_judged_alike(structures, splits, tmp_path):
    assert [len(splits[part]) for part in (keys.HEXAGONAL_CELLS, keys.CHIRAL_CELLS)] == [4, 4]
    potential = train_model("x", model(), structures, splits, tmp_path / "x", tmp_path / "x.csv", "cpu")
    errors = {}
    for part in (keys.SUPERCELLS, keys.HEXAGONAL_CELLS, keys.CHIRAL_CELLS):
        wanted = [atoms for atoms in structures if atoms.info[keys.STRUCTURE_ID] in splits[part]]
        table = predict(potential, wanted)
        size = np.mean([np.abs(atoms.arrays[keys.REF_FORCES][:, :2]).mean() for atoms in wanted])
        errors[part] = table[keys.FORCES_COLUMN].mean() / (keys.MEV_PER_EV * size)
    assert max(errors.values()) < 0.5, errors
    for part in (keys.HEXAGONAL_CELLS, keys.CHIRAL_CELLS):
        assert errors[part] < 1.5 * errors[keys.SUPERCELLS], errors


def test_fixed_images_of_any_cell_are_those_that_evaluation_sees(structures, tmp_path):
    """Without augmentation, labels that are a network's own leave it without errors."""
    potential = load_model(write_model(tmp_path / "own", exchange=False))
    some = [atoms.copy() for atoms in structures[::9]]
    for atoms, energy in zip(some, potential.energies(some), strict=True):
        atoms.info[keys.REF_ENERGY] = energy
    rule = ShapeRule(potential.config.pixel_size_A, potential.network.multiple_px)
    sheets = make_sheets(some, potential.reference_energies_eV, False, lay=potential.lay)
    drawn = attach_images(sheets, some, [], potential, rule)
    assert {sheet.image is None for sheet in drawn} == {True, False}
    seen = 0
    for groups, count, _ in training_batches(drawn, 3, None, rule, np.random.default_rng(0)):
        for group in groups:
            assert (group_errors(potential, group, training=True).energies.abs() / group.counts).max() < 1e-5
        seen += count
    assert seen == len(some)


def test_a_cnn_says_which_cells_it_takes(structures, splits, tmp_path):
    still = {"augmentation": None, "forces_weight": 0}
    cnn = complete_config({"models": {"x": {"network": "cnn", "channels": "Z", "training": still}}})["models"]["x"]
    with pytest.raises(InputError, match="takes cells that have a small rectangle only"):
        train_model("x", cnn, structures, splits, tmp_path / "x", tmp_path / "x.csv", "cpu")
    cnn["training"]["exclude"] = ["chiral-*"]
    with pytest.raises(InputError, match=r"a cnn takes one image size, but the cell of .*training\.exclude"):
        train_model("x", cnn, structures, splits, tmp_path / "x", tmp_path / "x.csv", "cpu")


@pytest.mark.parametrize("cell", ["hexagonal", {"chiral": [2, 1]}, {"chiral": [5, 3]}], ids=str)
@pytest.mark.parametrize("degrees", [0.0, 37.0])
def test_a_rectangle_for_timings_and_drawings(cell, degrees):
    sheet = laid_along_x(graphene((2, 2), 2.46, cell))
    # As strained sheets are made: the second period is shorter.
    sheet.set_cell(sheet.cell.array * [1.02, 0.99, 1.0], scale_atoms=True)
    sheet.rotate(degrees, "z", rotate_cell=True)
    found = rectangular(sheet)
    assert is_aligned(found.cell.array)
    assert len(found) == 2 * len(sheet)
    lengths = np.linalg.norm(bonds(found, 1.8)[2], axis=1)
    assert len(lengths) == 3 * len(found)
    own = np.linalg.norm(bonds(sheet, 1.8)[2], axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.sort(np.tile(own, 2)), atol=1e-6)
    assert found.cell.volume == pytest.approx(2 * sheet.cell.volume)
    upright = graphene((3, 2))
    assert rectangular(upright) is upright
    sheet.set_cell(sheet.cell.array @ np.diag([1.0, 1.1, 1.0]) @ np.array([[1, 0, 0], [0.1, 1, 0], [0, 0, 1.0]]))
    with pytest.raises(InputError, match="make no rectangle; timings and drawings need one"):
        rectangular(sheet)


def test_trajectories_stay_in_their_cell():
    datasets = config()["structures"]["datasets"]
    (start,) = generate_dataset("chiral-md", {**datasets["chiral-rattle"], "sampler": "md", "count": 1}, 3)
    frames = list(run_trajectory(start, Dynamics((300.0,), 2.0, 0.05, 4, 5), 0, 7, "md:x", [], labelled))
    assert len(frames) == 4
    for frame in frames:
        np.testing.assert_array_equal(frame.cell.array, start.cell.array)
        assert len(bonds(frame, 1.85)[0]) == 3 * len(start)
        assert np.abs(frame.positions - start.positions).max() < 0.4
