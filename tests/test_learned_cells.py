"""What is refused before any job is what a network would refuse when its labels are there."""

import pytest
from own_models import CNN, EDNN

from extensive.config import complete_config
from extensive.config.plan import seed_of
from extensive.errors import InputError
from extensive.images.placement import as_rectangle
from extensive.models import Potential, build_model
from extensive.structures.datasets import generate_dataset
from extensive.training.cells import check_cells

PAPER = {"network": "ednn", "tile_network": "paper", "context_px": 16}
FIXED = {"network": "ednn", "training": {"augmentation": None, "forces_weight": 0}}
CHIRAL = {"cell": {"chiral": [2, 1]}, "supercell": [1, 1]}
# Cells, whether strained, and whether a few of them make a rectangle.
CELLS = [
    ("rectangular", [2, 2], 0.02, True),
    ("hexagonal", [4, 4], 0.02, True),
    ("hexagonal", [6, 5], 0.0, False),
    ("hexagonal", [2, 4], 0.02, True),
    # Only along a period that strain turns.
    ("hexagonal", [4, 1], 0.0, True),
    ("hexagonal", [4, 1], 0.02, False),
    ({"chiral": [1, 1]}, [3, 3], 0.02, True),
    ({"chiral": [2, 1]}, [1, 1], 0.0, False),
]


def config(models: dict, **spec) -> dict:
    entry = {"family": ["graphene", "hbn"], "sampler": "rattle", "count": 6, "set": "train", **spec}
    return complete_config({"structures": {"datasets": {"mine": entry}}, "models": models})


def refused(models: dict, tested: bool = True, **spec) -> str:
    whole = config(models, **spec)
    try:
        check_cells(whole, whole["models"], tested)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("cell", "supercell", "strain", "rectangle"), CELLS)
def test_cells_are_refused_that_the_network_and_files_of_images_refuse(cell, supercell, strain, rectangle):
    spec = {"cell": cell, "supercell": supercell, "strain": strain}
    whole = config({"cnn": {"network": "cnn"}}, **spec)
    sheets = generate_dataset("mine", whole["structures"]["datasets"]["mine"], seed_of(whole, "mine"))
    cnn, ednn = (Potential(build_model(described), {}) for described in (CNN, EDNN))
    for sheet in sheets:
        assert ednn.lay(sheet)
        for lay in (cnn.lay, as_rectangle):
            try:
                found = lay(sheet).upright
            except InputError:
                found = False
            assert found == rectangle
    for model in ({"network": "cnn"}, PAPER, FIXED):
        assert bool(refused({"m": model}, **spec)) != rectangle
    assert not refused({"m": {"network": "ednn"}}, **spec)


def test_the_line_names_model_data_set_and_what_to_do():
    said = refused({"m": PAPER}, **CHIRAL)
    assert said == (
        "models.m: an ednn of tile_network: paper takes cells that have a small rectangle only, and those of data set"
        " 'mine' have none; leave it out with training.exclude: [mine]"
    )
    assert "\n" not in said
    assert refused({"m": FIXED}, **CHIRAL).startswith("models.m: fixed images (training.augmentation: null) are of")


def test_what_it_says_to_do_helps():
    left_out = {**PAPER, "training": {"exclude": ["mine"]}}
    assert not refused({"m": left_out}, **CHIRAL)
    # Held-back sheets of a development data set would be asked for at the end.
    assert "give it set: train and" in refused({"m": PAPER}, **CHIRAL, set="development")
    assert "give it set: chiral-cells" in refused({"m": left_out}, **CHIRAL, set="development")
    assert not refused({"m": left_out}, tested=False, **CHIRAL, set="development")
    assert "give it set: chiral-cells" in refused({"m": PAPER}, **CHIRAL, set="test")
    assert not refused({"m": PAPER}, **CHIRAL, set="chiral-cells")
    assert not refused({"m": FIXED}, **CHIRAL, set="test")


def test_labels_of_a_teacher_are_for_students_alone():
    taught = {**CHIRAL, "teacher": {"models": ["ednn"]}, "set": "development"}
    assert not refused({"m": PAPER}, **taught)
    assert refused({"m": {**PAPER, "training": {"teacher_labels": True}}}, **taught)
