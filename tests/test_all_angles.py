"""Networks of all directions: rotated by any angle in training, and taking sheets whose bonds point several ways."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from own_models import write_model
from test_cells import labelled, model

from extensive import Calculator, keys
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.models import load_model
from extensive.structures.datasets import generate_dataset
from extensive.structures.frame import frame_of
from extensive.structures.lattices import graphene
from extensive.training.augment import Augmentation, draw_angle
from extensive.training.fit import train_model
from extensive.training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
ALL = {"rotation_deg": [0, 360], "rotate_until": 1.0}


def two_grains() -> Atoms:
    """Two strips of graphene, zigzag rows along x and along y, 1.46 Angstrom apart."""
    lower, upper = graphene((7, 4)), graphene((4, 4))
    width = lower.cell[0, 0]
    upper.positions[:, :2] = upper.positions[:, 1::-1] * [width / upper.cell[1, 1], 1.0]
    upper.positions[:, 1] += lower.positions[:, 1].max() + 1.46
    sheet = lower + upper
    sheet.set_cell([width, upper.positions[:, 1].max() + 1.46 - lower.positions[:, 1].min(), 10.0])
    return sheet


def test_any_angle_of_a_range_is_drawn():
    rng = np.random.default_rng(0)
    angles = np.degrees([draw_angle([0, 360], rng) for _ in range(400)])
    assert (np.histogram(angles, bins=8, range=(0, 360))[0] > 25).all()
    assert {round(np.degrees(draw_angle(60, rng))) for _ in range(50)} == {0, 60, 120}
    assert draw_angle(0.0, rng) == 0.0


@pytest.mark.parametrize(
    ("choice", "rotates", "every"),
    [(0.0, False, False), (60, True, False), ([0, 360], True, True), ([0, 60], True, True), ([0, 30], True, False)],
)
def test_which_ranges_are_all_directions_of_a_honeycomb(choice, rotates, every):
    augmentation = Augmentation(rotation_deg=choice)
    assert (augmentation.rotates, augmentation.all_directions) == (rotates, every)
    assert not Augmentation(rotation_deg=choice, rotate_until=0.75).all_directions


@pytest.mark.parametrize("choice", [[0, 400], [90, 10], [10, 10], [0, 1, 2]])
def test_ranges_that_are_none_are_refused(choice):
    with pytest.raises(InputError, match="rotation_deg"):
        TrainingSettings(augmentation=Augmentation(rotation_deg=choice))


def test_the_configuration_is_the_presets_and_rotates_by_any_angle():
    preset, own = (yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("config", "all-angles"))
    preset["models"]["ednn"]["training"]["augmentation"] |= own["models"]["ednn"]["training"]["augmentation"]
    whole = complete_config(preset)["models"]["ednn"]
    assert TrainingSettings.from_dict(whole["training"]).augmentation.all_directions
    assert set(own["models"]["ednn"]) == {"training"}


@pytest.mark.medium
def test_a_network_of_all_directions_takes_grain_boundaries(tmp_path):
    entry = {"family": "graphene", "sampler": "rattle", "count": 10, "supercell": [4, 2]}
    spec = complete_config({"structures": {"datasets": {"x": entry}}})["structures"]["datasets"]["x"]
    structures = [labelled(atoms) for atoms in generate_dataset("x", spec, 1)]
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
    settings = {"samples": 60, "augmentation": {"transpose": False, **ALL}}
    splits = {"train": names[:8], "validation": names[8:]}
    train_model("x", model(training=settings), structures, splits, tmp_path / "x", tmp_path / "x.csv", "cpu")
    assert load_model(tmp_path / "x").metadata["bond_direction_range"] == [-1.0, 1.0]
    sheet = two_grains()
    assert frame_of(sheet).honeycomb is None
    with pytest.raises(InputError, match="bonds point several ways"):
        Calculator(write_model(tmp_path / "one", exchange=False), device="cpu").get_potential_energy(sheet)
    assert np.isfinite(Calculator(tmp_path / "x", device="cpu").get_potential_energy(sheet))
