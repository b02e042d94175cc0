"""The auxiliary loss on charges of edges."""

import numpy as np
import pytest
import torch
from ase import Atoms
from taught_sheets import sheet

from extensive import keys
from extensive.errors import InputError
from extensive.images.raster import batch_from_atoms
from extensive.models import load_model
from extensive.structures import lattices
from extensive.training import charges
from extensive.training.augment import Augmentation, repeat
from extensive.training.data import ShapeRule, make_sheets, training_batches
from extensive.training.fit import train_model
from extensive.training.loop import group_errors
from tests.test_training import MODEL

BCN = ("B", "C", "N")


def holed(symbols: str = "C", missing: int = 1) -> Atoms:
    """A sheet of 5 x 3 cells without `missing` atoms: the first, and its neighbours."""
    atoms = lattices.hbn((5, 3), 2.5) if symbols == "BN" else lattices.graphene((5, 3), 2.46)
    nearest = np.argsort(atoms.get_distances(0, range(len(atoms)), mic=True))
    return atoms[np.sort(nearest[missing:])]


@pytest.mark.parametrize(("missing", "lacking"), [(0, 0), (1, 3), (2, 4), (4, 6)])
def test_neighbours_that_atoms_lack_are_counted(missing, lacking):
    """A vacancy leaves three atoms without a neighbour, a divacancy four, one of four atoms six."""
    for symbols in ("C", "BN"):
        atoms = holed(symbols, missing)
        assert charges.missing_neighbours(atoms) == lacking
        atoms.rattle(0.05, seed=1)
        assert charges.missing_neighbours(atoms) == lacking
        assert charges.missing_neighbours(atoms.repeat((2, 1, 1))) == 2 * lacking


def test_only_sheets_without_charges_of_their_own_have_an_auxiliary_loss():
    carbon, boron_nitride = holed(), holed("BN")
    assert charges.edge_charge(carbon, -0.33, BCN) == pytest.approx(-0.99)
    assert charges.edge_charge(holed(missing=0), -0.33, BCN) == 0.0
    assert charges.edge_charge(boron_nitride, -0.33, BCN) is None
    assert charges.edge_charge(boron_nitride, -0.33, "Z") == pytest.approx(-0.99)


def test_the_auxiliary_loss_fades():
    weights = [charges.auxiliary_weight(progress) for progress in (0.0, 0.5, 1.0)]
    assert weights == [charges.AUXILIARY_WEIGHT, charges.AUXILIARY_WEIGHT / 2, 0.0]


def test_charges_go_with_sheets_into_their_batches():
    structures = [sheet(0), sheet(1, family="hbn"), sheet(2)]
    electrons = {structures[0].info[keys.STRUCTURE_ID]: 1.5, structures[2].info[keys.STRUCTURE_ID]: -2.0}
    sheets = make_sheets(
        structures, dict.fromkeys(BCN, -9.0), True, lambda atoms: electrons.get(atoms.info[keys.STRUCTURE_ID])
    )
    assert [sheet.charge_e for sheet in sheets] == [1.5, None, -2.0]
    assert [repeat(sheet, 2, 3).charge_e for sheet in sheets] == [9.0, None, -12.0]
    # Shifted, mirrored and rotated, a sheet has the charge that it had.
    turning = Augmentation(transpose=False, rotation_deg=60.0, pitch=0.0)
    for seed in range(4):
        rule = ShapeRule(0.4, 2)
        ((groups, _, _),) = training_batches(sheets, 3, turning, rule, np.random.default_rng(seed))
        found = torch.cat([group.charges for group in groups])
        energies = torch.cat([group.energies for group in groups]).tolist()
        for sheet_, energy in ((sheets[0], energies), (sheets[2], energies)):
            at = int(np.argmin(np.abs(np.subtract(energy, sheet_.energy_eV))))
            assert found[at] == sheet_.charge_e
        assert found.isnan().sum() == 1
    plain = make_sheets(structures, dict.fromkeys(BCN, -9.0), True)
    ((groups, _, _),) = training_batches(plain, 3, None, ShapeRule(0.4, 2), np.random.default_rng(0))
    assert all(group.charges is None for group in groups)


def fitted(tmp_path, name: str, **training):
    """A network that learned from sheets of carbon with and without a hole, whose labels know of no charge."""
    structures = [sheet(i) for i in range(6)]
    for atoms in structures[:3]:
        del atoms[0]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    settings = {"samples": 240, "batch_size": 2, "optimizer": "muon", "learning_rate": 4e-3, "validations": 1}
    settings |= {"augmentation": {"pitch": 0.0}, **training}
    model = {**MODEL, "readout": "charge-equilibration", "training": settings}
    path = tmp_path / name
    train_model(name, model, structures, {"train": names, "validation": []}, path, tmp_path / f"{name}.csv", "cpu")
    return load_model(path), structures


@pytest.mark.medium
def test_a_network_takes_up_the_charges_of_the_auxiliary_loss(tmp_path, monkeypatch):
    # So much that a few steps from random weights will do.
    monkeypatch.setattr(charges, "AUXILIARY_WEIGHT", 3.0)

    def charge(potential, atoms: Atoms) -> float:
        batch, shape = batch_from_atoms([atoms]), potential.image_shape(atoms.cell.lengths())
        with torch.no_grad():
            sums = potential.network.sums(potential.images(batch, shape), potential.pitch(batch, shape))
        return sums[0, 1].item()

    potential, structures = fitted(tmp_path, "with", edge_charge_e=-0.5)
    found = [charge(potential, atoms) for atoms in structures]
    wanted = [-0.5 * charges.missing_neighbours(atoms) for atoms in structures]
    assert sorted(set(wanted)) == [-1.5, 0.0]
    np.testing.assert_allclose(found, wanted, atol=0.4)
    without, _ = fitted(tmp_path, "without")
    assert abs(charge(without, structures[0]) + 1.5) > 0.5


@pytest.mark.medium
def test_a_sheet_without_auxiliary_loss_leaves_no_trace_in_the_gradient(tmp_path):
    potential, structures = fitted(tmp_path, "some", samples=6)
    sheets = make_sheets(structures, potential.reference_energies_eV, True, lambda atoms: None)
    sheets[0] = make_sheets(structures[:1], potential.reference_energies_eV, True, lambda atoms: -1.0)[0]
    ((groups, _, _),) = training_batches(sheets, 6, None, ShapeRule(0.4, 2), np.random.default_rng(0))
    total = sum(
        group_errors(potential, g, training=True).charges.square().sum() for g in groups if g.charges is not None
    )
    total.backward()
    gradients = [p.grad for p in potential.network.parameters() if p.grad is not None]
    assert torch.cat([gradient.flatten() for gradient in gradients]).isfinite().all()
    # Where it is not learned from, a group has no errors of charges.
    assert all(group_errors(potential, group, training=False).charges is None for group in groups)


def test_a_network_without_charges_has_no_auxiliary_loss(tmp_path):
    structures = [sheet(i) for i in range(2)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    model = {**MODEL, "training": {"samples": 2, "edge_charge_e": -0.3}}
    with pytest.raises(
        InputError, match=r"models.m: training.edge_charge_e is for readout charge-equilibration, not plain"
    ):
        train_model(
            "m", model, structures, {"train": names, "validation": []}, tmp_path / "m", tmp_path / "m.csv", "cpu"
        )
