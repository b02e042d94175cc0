"""`extensive check` says what the workflow refuses; the lines are in bad_input_cases.py."""

import pytest
from own_models import write_model

from extensive.cli.checks import check_config
from extensive.config import complete_config
from extensive.errors import InputError

SHEET = {"family": "graphene", "sampler": "rattle", "count": 2}


def check(**config):
    structures = {"datasets": {"mine": SHEET}}
    timing = {"networks": {"models": ["ednn"]}}
    check_config(complete_config({"structures": structures, "timing": timing, **config}))


def going_on(weights: str, seed: int = 0, ensembles: tuple[str, ...] = (), **others) -> None:
    ednn = {"network": "ednn", "training": {"initial_weights": weights, "seed": seed}}
    check(models={"ednn": ednn, **others}, studies={"seeds": 2, "ensembles": list(ensembles)})


def test_weights_to_go_on_from_are_there_with_what_describes_them(tmp_path):
    path = write_model(tmp_path / "first-seed3")
    going_on(str(tmp_path / "first-seed{seed}.pt"), 3)
    for seed, words in ((0, "no such model of the configuration, nor file"), (3, "nor file")):
        path.with_suffix(".json").unlink(missing_ok=True)
        with pytest.raises(InputError, match=rf"models\.ednn\.training\.initial_weights: .*{words}"):
            going_on(str(tmp_path / "first-seed{seed}.pt"), seed)


def test_a_training_to_go_on_from_has_the_same_seed():
    first = {"first": {"network": "ednn", "sigma_A": 0.3}}
    going_on("first", **first)
    going_on("first", 1, ("first",), **first)
    with pytest.raises(InputError, match=r"'first' has no training of seed 1 to go on from; studies\.ensembles"):
        going_on("first", 1, **first)


def test_trainings_that_go_on_from_each_other_are_refused():
    first = {"first": {"network": "ednn", "sigma_A": 0.3, "training": {"initial_weights": "ednn"}}}
    with pytest.raises(InputError, match="no training of seed 0 to go on from"):
        going_on("first", **first)


def test_a_network_that_learns_from_teachers_cannot_teach():
    student = {"network": "ednn", "training": {"teacher_labels": True}}
    structures = {"datasets": {"mine": SHEET, "taught": {**SHEET, "teacher": {"models": ["ednn"]}}}}
    check(structures=structures, models={"ednn": {"network": "ednn"}})
    with pytest.raises(InputError, match=r"taught\.teacher\.models: 'ednn' learns from a teacher's labels itself"):
        check(structures=structures, models={"ednn": student})


def test_labels_of_an_archive_of_ones_own_are_enough(tmp_path):
    check(reference={"labels": {"archive": str(tmp_path), "missing": "leave-out"}})


def test_cells_of_a_variant_are_looked_at():
    datasets = {"mine": SHEET, "turned": {**SHEET, "cell": {"chiral": [2, 1]}, "supercell": [1, 1], "set": "train"}}
    fixed = {"training": {"augmentation": None, "forces_weight": 0}}
    studies = {"seeds": 1, "ablation": {"variants": {"fixed": fixed}}}
    with pytest.raises(InputError, match=r"models\.ednn-ablation-fixed-seed0: fixed images .* small rectangle"):
        check(structures={"datasets": datasets}, models={"ednn": {"network": "ednn"}}, studies=studies)


def test_a_variant_that_cannot_be_built_is_noted_and_stops_nothing_else(capsys):
    """The studies of a preset stay behind where its network is changed."""
    models = {"ednn": {"network": "ednn", "tile_network": "convolutional", "blocks": 2, "dilations": [1, 1]}}
    variants = {"c4": {"dilations": [1, 1, 1, 1]}}
    check(models=models, studies={"seeds": 1, "context": {"samples": 10, "variants": variants}})
    assert "`snakemake studies` would stop there" in capsys.readouterr().err
