"""Training on sheets of any cell: labels are rotated with the atoms, and go with the sheets into every batch."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from own_models import EDNN, rattled, write_model
from test_frame import honeycomb, rotation_about, turned_whole

from extensive import keys
from extensive.errors import InputError
from extensive.models import load_model
from extensive.structures.frame import frame_of
from extensive.training.augment import Augmentation, mirror, transpose
from extensive.training.data import ShapeRule, evaluation_batches, make_sheets, training_batches
from extensive.training.fit import train_model
from extensive.training.loop import group_errors

CELLS = [[[3, 0], [-2, 4]], [[4, 0], [0, 4]], [[3, 1], [-1, 4]]]
RULE = ShapeRule(EDNN.pixel_size_A, 2)


@pytest.fixture(scope="module")
def potential(tmp_path_factory):
    return load_model(write_model(tmp_path_factory.mktemp("model") / "upright", exchange=False))


def sheets_of(potential, cells=CELLS):
    """Labelled by the potential itself, rotated in space in several ways."""
    structures = [
        turned_whole(honeycomb(cell, seed=number), rotation_about((number, 1, 2), 35.0 * number))
        for number, cell in enumerate(cells)
    ] + [rattled()]
    energies, forces = potential.energies_and_forces(structures)
    for number, (atoms, energy, force) in enumerate(zip(structures, energies, forces, strict=True)):
        atoms.info |= {keys.STRUCTURE_ID: f"mine-{number:05d}", keys.DATASET: "mine", keys.SAMPLER: "rattle"}
        atoms.info |= {keys.FAMILY: "own", keys.PARENT: f"mine-{number:05d}", keys.REF_ENERGY: energy}
        atoms.arrays[keys.REF_FORCES] = force
    return structures


def test_labels_go_with_the_atoms_onto_the_grid(potential):
    """Of labels that are the network's own there is no error, in whatever axes they were given."""
    structures = sheets_of(potential)
    sheets = make_sheets(structures, potential.reference_energies_eV, True, lay=potential.lay)
    assert [sheet.periods is not None for sheet in sheets] == [False, False, True, False]
    assert [len(sheet) // len(atoms) for sheet, atoms in zip(sheets, structures, strict=True)][:2] == [1, 2]
    groups = list(evaluation_batches(sheets, RULE))
    assert sum(len(group.energies) for group in groups) == len(sheets)
    for group in groups:
        energies, forces = group_errors(potential, group, training=False)[:2]
        assert (energies.abs() / group.counts).max() < 1e-5
        # Copies of a cell lie differently on the pixels; the force on its atoms is their mean.
        copies = 2 if len(forces) == 2 * len(structures[1]) else 1
        if group.torus is not None:
            copies = len(forces) // len(structures[2])
        assert forces.view(copies, -1, 2).mean(dim=0).abs().max() < 1e-3
    components = np.concatenate([frame_of(atoms).in_plane(atoms.arrays[keys.REF_FORCES]) for atoms in structures])
    assert np.abs(components).max() > 0.05


def test_mirrors_and_exchange_keep_a_sheared_grid_whole(potential):
    sheet = make_sheets(sheets_of(potential, [CELLS[2]]), potential.reference_energies_eV, True, lay=potential.lay)[0]
    for other in (mirror(sheet, 0), mirror(sheet, 1), transpose(sheet)):
        # Period vectors in pixels are still those in Angstrom: distances of atoms across the boundary are the same.
        for period, old in zip(other.periods, sheet.periods, strict=True):
            assert np.linalg.norm(other.pixels_A @ period) == pytest.approx(np.linalg.norm(sheet.pixels_A @ old))
        np.testing.assert_allclose(np.linalg.norm(other.forces, axis=1), np.linalg.norm(sheet.forces, axis=1))
        turn = [np.linalg.det([s.positions[1] - s.positions[0], s.forces[1]]) for s in (sheet, other)]
        assert turn[0] == pytest.approx(-turn[1])
        np.testing.assert_allclose(other.pixels_A, other.pixels_A.T)


def test_batches_hold_every_sheet_once_whatever_its_cell(potential):
    sheets = make_sheets(sheets_of(potential), potential.reference_energies_eV, True, lay=potential.lay)
    rng = np.random.default_rng(0)
    for augmentation in (None, Augmentation(rotation_deg=60)):
        seen = 0
        for groups, count, atoms in training_batches(sheets, 3, augmentation, RULE, rng):
            assert sum(len(group.energies) for group in groups) == count
            assert sum(int(group.counts.sum()) for group in groups) == atoms
            for group in groups:
                assert torch.isfinite(group_errors(potential, group, training=True).energies).all()
            seen += count
        assert seen == len(sheets)


@pytest.mark.medium
def test_a_network_learns_from_cells_of_any_kind(potential, tmp_path):
    structures = sheets_of(potential, [*CELLS, *CELLS, *CELLS])
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    training = {"samples": 160, "batch_size": 2, "optimizer": "muon", "learning_rate": 5e-3, "validations": 4}
    model = {"network": "ednn", "tile_network": "convolutional", "channels": ["C"], "pixel_size_A": 0.4, "sigma_A": 0.5,
             "pitch_channels": True, "focus_px": 4, "stem": [[8, 4, 2]], "width": 8, "blocks": 1, "head": [8],
             "training": {**training, "augmentation": {}}}  # fmt: skip
    splits = {"train": names[:8], "validation": names[8:]}
    train_model("mine", model, structures, splits, tmp_path / "mine", tmp_path / "curve.csv", "cpu")
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert curve["loss"].iloc[-1] < curve["loss"].iloc[0]
    low, high = load_model(tmp_path / "mine").metadata["bond_direction_range"]
    assert -1.0 <= low <= high < -0.8
    cnn = {**model, "network": "cnn", "form": "paper", "image_px": 64, "pitch_channels": False}
    cnn = {key: value for key, value in cnn.items() if key not in ("tile_network", "stem", "width", "blocks", "head")}
    with pytest.raises(InputError, match="takes cells that have a small rectangle only"):
        train_model("mine", cnn, structures, splits, tmp_path / "cnn", tmp_path / "cnn.csv", "cpu")


@pytest.mark.parametrize("exchanging", [False, True])
def test_what_goes_on_from_other_weights_lays_sheets_as_it_was_trained(potential, tmp_path, exchanging):
    """The first weights know zigzag rows along x, the sheets that they go on with have them along y."""
    assert potential.zigzag == 0.0
    write_model(tmp_path / "first", exchange=False)
    structures = []
    for number in range(3):
        atoms = rattled(seed=number)
        width, height, depth = atoms.cell.lengths()
        atoms.positions[:, :2] = np.column_stack([height - atoms.positions[:, 1], atoms.positions[:, 0]])
        atoms.set_cell([height, width, depth])
        (energy,), (forces,) = potential.energies_and_forces([atoms])
        atoms.info |= {keys.STRUCTURE_ID: f"mine-{number:05d}", keys.FAMILY: "own", keys.REF_ENERGY: float(energy)}
        atoms.arrays[keys.REF_FORCES] = forces
        structures.append(atoms)
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    settings = {"initial_weights": str(tmp_path / "first.pt"), "samples": 2, "batch_size": 2, "learning_rate": 1e-12}
    settings |= {"ema": 0.0, "augmentation": {"transpose": exchanging, "rotation_deg": 60}}
    model = {**potential.config.to_dict(), "training": settings}
    splits, paths = {"train": names[:2], "validation": names[2:]}, (tmp_path / "mine", tmp_path / "curve.csv")
    trained, saved = train_model("mine", model, structures, splits, *paths, "cpu"), load_model(tmp_path / "mine")
    # Labels are the first weights' own, and nothing was changed.
    for same in (trained, saved):
        assert same.zigzag == 0.0
        assert same.energies(structures) == pytest.approx(potential.energies(structures), abs=1e-4)
    assert saved.metadata["bond_direction_range"][1] < -0.8
    # What is returned is what was saved.
    assert json.loads(json.dumps(trained.metadata)) == saved.metadata
