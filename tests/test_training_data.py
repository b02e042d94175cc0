"""What training starts from: honest splits, reference energies, exact symmetries."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from taught_sheets import SETS, mixture, sheet, teacher_energy

from extensive import keys
from extensive.errors import InputError
from extensive.images.files import read_images, write_images
from extensive.models import ModelConfig, Potential, build_model
from extensive.training import augment
from extensive.training.data import (
    ShapeRule,
    attach_images,
    batch_shapes,
    cut_batches,
    kinds_of_cells,
    make_sheets,
    training_batches,
)
from extensive.training.reference_energies import fit_reference_energies
from extensive.training.splits import assign_sets, check_honest, learns_from

# ---- splits


def test_splits_are_honest_and_complete():
    structures = mixture()
    splits = assign_sets(structures, SETS, seed=1)
    check_honest(splits, structures)
    assert sum(map(len, splits.values())) == len(structures)
    assert len(splits["independent-md"]) == 4
    # One of ten rattled sheets is test, one validation; trajectories give a correlated test and no validation.
    assert len([n for n in splits["test"] if "rattle" in n]) == len(splits["validation"]) == 4
    assert [n[-5:] for n in splits["test"] if "md" in n] == ["00003", "00007"]
    assert all("rattle" in n for n in splits["validation"])


def test_splits_keep_every_structure_on_its_side_when_the_archive_grows():
    small, large = (assign_sets(mixture(n), SETS, seed=1) for n in (25, 40))
    for name, members in small.items():
        assert set(members) <= set(large[name])
    assert assign_sets(mixture(), SETS, seed=2)["test"] != large["test"]


def test_dishonest_splits_are_refused():
    structures = mixture()
    splits = assign_sets(structures, SETS, seed=1)
    twice = {**splits, "test": [*splits["test"], splits["train"][0]]}
    with pytest.raises(InputError, match="a structure belongs to one"):
        check_honest(twice, structures)
    moved = splits["independent-md"][0]
    leaky = {**splits, "independent-md": splits["independent-md"][1:], "train": [*splits["train"], moved]}
    with pytest.raises(InputError, match=r"graphene-md-independent-a.*several sides"):
        check_honest(leaky, structures)
    original = next(a for a in structures if a.info[keys.STRUCTURE_ID] in splits["train"])
    copy = original.copy()
    copy.info[keys.STRUCTURE_ID] = "graphene-rattle-99999"
    with pytest.raises(InputError, match="same geometry"):
        check_honest({**splits, "test": [*splits["test"], "graphene-rattle-99999"]}, [*structures, copy])
    with pytest.raises(InputError, match=r"set: 'tests' is not one of"):
        assign_sets(structures, {**SETS, "graphene-md-independent": "tests"}, seed=1)


def two_sets(original: Atoms, order=slice(None), cells=0.0, **changes) -> None:
    """Check a sheet in one set beside a changed one in another: other atoms first, or in other cells (N, 2)."""
    copy = original[order]
    copy.positions += cells @ original.cell.array[:2]
    copy.positions = copy.positions.round(8)  # as a file has them
    for name, change in changes.items():
        getattr(copy, name)[...] += change
    copy.info[keys.STRUCTURE_ID] = copy.info[keys.PARENT] = "copy-00000"
    check_honest({"train": [original.info[keys.STRUCTURE_ID]], "test": ["copy-00000"]}, [original, copy])


@pytest.mark.parametrize("shift", [0.0, 0.25e-5, 0.75e-5])  # on the edges of one of the roundings
def test_one_sheet_in_two_sets_is_found_in_any_order_and_in_any_cells(shift):
    rng = np.random.default_rng(0)
    for index in range(8):
        original = sheet(index, family="hbn")
        original.positions[:4, :2] = np.linspace(0, 1, 4, endpoint=False)[:, None] * original.cell.lengths()[:2]
        original.positions += shift * original.cell.lengths()
        for order, cells in (
            (rng.permutation(8), np.zeros((8, 2))),
            (slice(None), np.tile([1.0, 0.0], (8, 1))),
            (rng.permutation(8), rng.integers(-2, 3, (8, 2))),
        ):
            with pytest.raises(InputError, match="the same geometry is in several sets"):
                two_sets(original, order, cells)


def test_copies_of_a_sheet_go_where_the_first_is():
    """A restarted run of dynamics leaves some; another index would put them into another set."""
    sheets = [sheet(index) for index in range(20)]
    alone = assign_sets(sheets, {sheets[0].info[keys.DATASET]: "development"}, 0)
    copies = [atoms.copy() for atoms in sheets]
    for index, copy in enumerate(copies):
        copy.info[keys.STRUCTURE_ID] = copy.info[keys.PARENT] = f"{copy.info[keys.DATASET]}-{90 - index:05d}"
    sets = assign_sets([*sheets, *copies], {sheets[0].info[keys.DATASET]: "development"}, 0)
    check_honest(sets, [*sheets, *copies])
    assert {name: 2 * len(members) for name, members in alone.items()} == {name: len(m) for name, m in sets.items()}
    assert all(set(members) <= set(sets[name]) for name, members in alone.items())


@pytest.mark.parametrize(
    "change",
    [
        {"positions": 1e-3 * np.eye(8, 3)},
        {"numbers": [2, -2, 0, 0, 0, 0, 0, 0]},  # B and N exchanged
        {"cell": 2e-5 * np.eye(3)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_sheets_that_are_merely_similar_may_be_in_two_sets(change):
    two_sets(sheet(0, family="hbn"), cells=np.zeros((8, 2)), **change)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_data_sets_may_belong_to_a_set_as_a_whole_and_leave_the_others_as_they_were(name):
    structures = mixture()
    before, after = (
        assign_sets(structures, {**SETS, "graphene-md-independent": set_of}, seed=1)
        for set_of in ("independent-md", name)
    )
    check_honest(after, structures)
    assert set(after[name]) == {*before[name], *before["independent-md"]}
    assert all(after[other] == before[other] for other in {"train", "validation", "test"} - {name})


def test_patterns_leave_data_sets_out():
    assert learns_from("hbn-rattle", ["*-10x2-rattle", "hbn-md"])
    assert not learns_from("graphene-10x2-rattle", ["*-10x2-rattle"])
    assert learns_from("first-labels", ["hbn-*"], ["first-*"])
    assert not learns_from("hbn-md", [], ["first-*"])
    assert not learns_from("first-labels", ["first-labels"], ["first-*"])


# ---- fixed images


def test_fixed_images_of_an_ednn_have_the_shapes_of_their_cells(tmp_path):
    """A file has one shape for all of a data set, so that only a cnn can take it."""
    structures = [sheet(i) for i in range(6)]
    settings = {"pixel_size_A": 0.15, "sigma_A": 0.5}
    write_images(tmp_path / "a.h5", structures, channels="Z", multiple_px=2, **settings)
    network = {"network": "ednn", "tile_network": "convolutional", "channels": "Z", "stem": [[4, 4, 2]], "width": 4}
    potential = Potential(build_model(ModelConfig.from_dict({**network, **settings})), {"C": 0.0})
    shape_of = ShapeRule(0.15, potential.network.multiple_px)
    sheets = make_sheets(structures, {"C": 0.0}, with_forces=False)
    found = attach_images(sheets, structures, [read_images(tmp_path / "a.h5")], potential, shape_of)
    shapes = [one.image.shape[1:] for one in found]
    assert shapes == [shape_of(one.cell) for one in sheets]
    assert len(set(shapes)) > 1


# ---- reference energies


def test_reference_energies_are_exact_for_additive_energies():
    true = {"B": -77.7, "C": -150.2, "N": -260.9}
    rng = np.random.default_rng(0)
    structures = []
    for i in range(9):
        symbols = rng.choice(["B", "C", "N"], size=rng.integers(4, 30))
        structures.append(Atoms(symbols, positions=np.zeros((len(symbols), 3)), info={keys.STRUCTURE_ID: str(i)}))
        structures[-1].info[keys.REF_ENERGY] = sum(true[symbol] for symbol in symbols)
    found = fit_reference_energies(structures, ["B", "C", "N"])
    assert found == pytest.approx(true, abs=1e-9)
    with pytest.raises(InputError, match="element N"):
        fit_reference_energies(structures, ["B", "C"])


def test_open_compositions_still_give_the_right_sums():
    structures = [sheet(i, "hbn-rattle", "hbn") for i in range(3)]
    for atoms in structures:
        atoms.info[keys.REF_ENERGY] = -8.8 * len(atoms)
    found = fit_reference_energies(structures, ["B", "C", "N"])
    assert found["B"] + found["N"] == pytest.approx(-17.6)
    assert set(found) == {"B", "N"}  # what no structure has is not known


# ---- symmetries


def as_sheet(atoms: Atoms) -> augment.Sheet:
    forces = atoms.arrays[keys.REF_FORCES][:, :2]
    cell = atoms.cell.lengths()[:2]
    return augment.Sheet(atoms.positions[:, :2], atoms.numbers, cell, atoms.info[keys.REF_ENERGY], forces)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: augment.translate(s, np.array([1.3, -0.7])),
        lambda s: augment.mirror(s, 0),
        lambda s: augment.mirror(s, 1),
        augment.transpose,
        lambda s: augment.repeat(s, 2, 3),
        lambda s: augment.augmented(s, augment.Augmentation(), np.random.default_rng(4), exchanged=True),
    ],
)
def test_augmented_labels_are_those_of_the_augmented_sheet(change):
    changed = change(as_sheet(sheet(1, "hbn-rattle", "hbn")))
    positions = torch.tensor(np.ascontiguousarray(changed.positions), requires_grad=True)
    energy = teacher_energy(positions, changed.numbers, torch.tensor(np.ascontiguousarray(changed.cell)))
    (gradient,) = torch.autograd.grad(energy, positions)
    assert float(energy.detach()) - 9.0 * len(changed) == pytest.approx(changed.energy_eV, abs=1e-9)
    np.testing.assert_allclose(-gradient.numpy(), changed.forces, atol=1e-9)


def test_drawn_grids_stay_near_the_nominal_pitch_and_a_batch_of_one_size_has_one_shape():
    rng = np.random.default_rng(0)
    sheets = [
        replace(as_sheet(sheet(i, "hbn-rattle", "hbn")), cell=np.array([12.3, 12.78]) * (1 + i / 100)) for i in range(3)
    ]
    seen = set()
    for _ in range(200):
        shapes = batch_shapes(sheets, ShapeRule(0.4, 2), augment.draw_pitch(0.05, rng))
        assert len(set(shapes)) == 1
        seen.add(shapes[0])
    assert len(seen) > 2
    for height, width in seen:
        assert height % 2 == width % 2 == 0
        assert sheets[1].cell[0] / width == pytest.approx(0.4, rel=0.09)  # the mean, of which the shape is
        for member in sheets:
            assert member.cell[0] / width == pytest.approx(0.4, rel=0.1)
            assert member.cell[1] / height == pytest.approx(0.4, rel=0.1)


def test_a_batch_of_different_sizes_keeps_their_shapes():
    sheets = [
        replace(as_sheet(sheet(0, "hbn-rattle", "hbn")), cell=np.array(cell)) for cell in ([12.3, 12.8], [24.6, 12.8])
    ]
    assert batch_shapes(sheets, ShapeRule(0.4, 2), np.ones(2)) == [(32, 30), (32, 62)]


@pytest.mark.parametrize("exchanging", [True, False])
def test_a_batch_is_exchanged_whole_or_not_at_all(exchanging):
    sheets = [replace(as_sheet(sheet(i, "hbn-rattle", "hbn")), cell=np.array([12.3, 25.6])) for i in range(8)]
    choice = augment.Augmentation(transpose=exchanging, pitch=0.0)
    rng, shapes = np.random.default_rng(0), set()
    for _ in range(10):
        for groups, structures, _ in training_batches(sheets, 4, choice, ShapeRule(0.4, 2), rng):
            assert [len(group.counts) for group in groups] == [structures] == [4]
            shapes.add(groups[0].shape)
    assert shapes == ({(64, 30), (30, 64)} if exchanging else {(64, 30)})


def test_batches_are_of_one_kind_of_cell_and_no_sheet_is_left_out():
    cells = ([12.3, 12.8], [24.6, 8.5], [12.7, 12.4], [4.9, 25.6])  # the third is the first one strained
    sheets = [replace(as_sheet(sheet(i, "hbn-rattle", "hbn")), cell=np.array(cells[i % 4])) for i in range(38)]
    kinds = kinds_of_cells(sheets)
    assert kinds == [(0, 1, 0, 2)[i % 4] for i in range(38)]
    batches = list(cut_batches(np.random.default_rng(0).permutation(38), kinds, 8))
    assert sorted(i for batch in batches for i in batch) == list(range(38))
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 6]  # as many as of one kind
    assert sum(len({kinds[i] for i in batch}) == 1 for batch in batches) >= 4
    # Of one kind they are the order cut into pieces, as it always was: trainings on it stay the same to the bit.
    order = list(np.random.default_rng(1).permutation(38))
    assert list(cut_batches(order, [0] * 38, 8)) == [order[first : first + 8] for first in range(0, 38, 8)]


def test_sheets_of_a_rare_cell_are_turned_as_well():
    cells = [[12.3, 12.8]] * 24 + [[24.6, 8.5]] * 8
    sheets = [replace(as_sheet(sheet(i, "hbn-rattle", "hbn")), cell=np.array(cell)) for i, cell in enumerate(cells)]
    choice = augment.Augmentation(transpose=False, rotation_deg=90.0)
    rng, rotated = np.random.default_rng(0), set()
    for _ in range(20):
        for groups, _, _ in training_batches(sheets, 8, choice, ShapeRule(0.4, 2), rng):
            assert len(groups) == 1
            if groups[0].torus is not None:
                rotated.add(round(float(groups[0].atoms.cells[0, 0]), 1))
    assert rotated == {12.3, 24.6}
