"""Presets, defaults and messages of the configuration."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from extensive.config import complete_config, load_config, load_schema, trainings
from extensive.config.reference_page import reference
from extensive.errors import InputError
from extensive.models import ModelConfig
from extensive.structures.labels import Outliers
from extensive.training.augment import Augmentation
from extensive.training.dimers import DimerSettings
from extensive.training.ising import IsingSettings
from extensive.training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ("config", "smoke", "paper", "published")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset):
    config = load_config(ROOT / "config" / f"{preset}.yaml")
    assert config["structures"]["datasets"]


def test_reference_page_is_made_from_the_schema():
    assert (ROOT / "config" / "README.md").read_text() == reference()


def objects(schema, path=""):
    yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from objects(part, f"{path}.{key}")
    for word in ("additionalProperties", "items"):
        if isinstance(schema.get(word), dict):
            yield from objects(schema[word], f"{path}.<{word}>")


def test_every_key_is_described_and_closed():
    schema = load_schema()
    for path, part in objects(schema):
        for key, value in part.get("properties", {}).items():
            described = "description" in value or "$ref" in value
            assert described, f"{path}.{key} has no description"
        if part.get("type") == "object" and part.get("properties"):
            assert "additionalProperties" in part, f"{path} accepts any key"


def test_defaults_are_valid_themselves():
    assert complete_config({})["seed"] == 2018


def test_a_configuration_changes_its_base(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "first.yaml").write_text("seed: 7\nmodels: {a: {network: cnn, head: [3, 4]}}\n")
    (tmp_path / "sub" / "second.yaml").write_text("base: ../first.yaml\nmodels: {a: {head: [5]}, b: {network: ednn}}\n")
    (tmp_path / "third.yaml").write_text("base: sub/second.yaml\nrun: third\n")
    config = load_config(tmp_path / "third.yaml")
    assert (config["run"], config["seed"], config["base"]) == ("third", 7, None)
    # Mappings are joined, lists replaced.
    assert list(config["models"]) == ["a", "b"]
    assert config["models"]["a"]["head"] == [5]


@pytest.mark.parametrize(
    ("base", "words"), [("none.yaml", r"none\.yaml is neither in"), ("mine.yaml", r"mine\.yaml has itself as its base")]
)
def test_a_base_that_is_none_is_named(tmp_path, base, words):
    (tmp_path / "mine.yaml").write_text(f"base: {base}\n")
    with pytest.raises(InputError, match=words):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sed": 1}, ["unknown key 'sed'", "'seed'"]),
        ({"seed": -1}, ["'seed'", "-1"]),
        ({"seed": "a"}, ["'seed'", "integer"]),
        ({"device": "gpu"}, ["'device'", "gpu", "cuda"]),
        ({"run": "a/b"}, ["'run'", "a/b"]),
        ({"structures": 3}, ["'structures'", "object"]),
        # Files of predictions are read by their names.
        *(
            ({"structures": {"dimers": {name: {"dimensions": 2, "count": 1}}}}, [f"'{name}'", "begin with dimer-"])
            for name in ("argon", "dimer-seed1", "dimer-2d-extrapolation")
        ),
        *(({"models": {name: {}}}, ["'models'", f"'{name}'"]) for name in ("ednn-teacher", "cnn-dimer-mine")),
    ],
)
def test_a_wrong_key_is_named_in_one_line(config, words):
    with pytest.raises(InputError) as caught:
        complete_config(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"augmentation": None}, "forces_weight"),
        ({"augmentation": None, "forces_weight": 0.5}, "forces_weight"),
        ({"energy_weight": 0, "final_energy_weight": 1}, "final_energy_weight"),
        ({"energy_weight": 1, "final_energy_weight": 0}, "energy_weight"),
    ],
)
def test_a_training_that_none_can_carry_out_is_refused_with_the_schema_and_without(training, key):
    model = {"network": "ednn", "training": training}
    with pytest.raises(InputError, match=rf"models\.m\.training\.{key}'"):
        complete_config({"models": {"m": model}})
    with pytest.raises(InputError, match=rf"training\..*{key}"):
        TrainingSettings.from_dict(training)
    # So is a variant that makes one of a model that could.
    studies = {"seeds": 1, "ablation": {"variants": {"x": {"training": training}}}}
    with pytest.raises(InputError, match=r"studies\.ablation\.x: "):
        trainings.members(complete_config({"models": {"ednn": {"network": "ednn"}}, "studies": studies}))


@pytest.mark.parametrize(
    "training",
    [
        {"augmentation": None, "forces_weight": 0, "stress_weight": 1},
        {"energy_weight": 0},
        {"energy_weight": 0, "final_energy_weight": 0},
        {"energy_weight": 0.1, "final_energy_weight": 2},
    ],
)
def test_other_weights_of_the_loss_are_taken(training):
    entry = complete_config({"models": {"m": {"network": "ednn", "training": training}}})["models"]["m"]
    assert TrainingSettings.from_dict(entry["training"])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"channels": []}, "should be non-empty"),
        ({"channels": "z"}, "does not match"),
        ({"channels": "BCN"}, "does not match"),
        ({"channels": ["B", "Nn"]}, "'Nn' is not a 'chemical symbol'"),
        ({"channels": ["B", "X"]}, "'X' is not a 'chemical symbol'"),
        ({"channels": ["C", "C"]}, "non-unique"),
    ],
)
def test_channels_are_z_or_elements(model, words):
    with pytest.raises(InputError, match=rf"models\.m\.channels.*{words}"):
        complete_config({"models": {"m": {"network": "ednn", **model}}})


def test_channels_of_images_may_be_anything():
    images = {"images": "x.h5", "channels": ["red", "red"], "training": {"augmentation": None, "forces_weight": 0}}
    assert complete_config({"models": {"m": {"network": "ednn", **images}}})


@pytest.mark.parametrize(
    "wrong", [{"channels": "BCN"}, {"channels": ()}, {"sigma_A": np.nan}, {"pixel_size_A": np.inf}]
)
def test_a_network_without_the_schema_says_what_is_wrong_too(wrong):
    with pytest.raises(InputError, match=f"model .*{next(iter(wrong))}"):
        ModelConfig("ednn", "convolutional", **wrong)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, "1e999"])
@pytest.mark.parametrize(
    ("config", "key"),
    [
        (lambda x: {"models": {"m": {"network": "ednn", "sigma_A": x}}}, "models.m.sigma_A"),
        (
            lambda x: {"models": {"m": {"network": "ednn", "training": {"final_energy_weight": x}}}},
            "final_energy_weight",
        ),
        (lambda x: {"reference": {"dft": {"mixer": [0.25, 8, x]}}}, "reference.dft.mixer.2"),
        (lambda x: {"timing": {"networks": {"budget_s": x}}}, "timing.networks.budget_s"),
    ],
)
def test_numbers_are_finite(config, key, number):
    with pytest.raises(InputError, match=f"key '.*{key}': -?(nan|inf) is ") as caught:
        complete_config(config(number))
    assert "\n" not in str(caught.value)


def seeds(schema, path=()):
    """Paths of all keys `seed`."""
    for key, part in schema.get("properties", {}).items():
        yield from [(*path, key)] if key == "seed" else seeds(part, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from seeds(schema["additionalProperties"], (*path, "m"))


def test_every_seed_is_one_that_random_numbers_can_begin_with():
    found = list(seeds(load_schema()))
    assert ("models", "m", "training", "seed") in found
    assert len(found) == 4
    sheet = {"family": "graphene", "sampler": "rattle", "count": 1}
    for path in found:
        config = {"models": {"m": {"network": "ednn"}}, "structures": {"datasets": {"m": sheet}}}
        whole = complete_config(config)
        for value, fits in ((2**63 - 1, True), (2**63, False)):
            inner = changed = copy.deepcopy(whole)
            for key in path[:-1]:
                inner = inner[key]
            inner["seed"] = value
            if fits:
                assert complete_config(changed)
            else:
                with pytest.raises(InputError, match=f"key '{'.'.join(path)}'"):
                    complete_config(changed)
    torch.manual_seed(2**63 - 1 + 1000)


@pytest.mark.parametrize("text", ["{{seed}}: 3", "? [a, b]\n: 3", "models: {? {a: 1} : 2}"])
def test_a_key_that_is_no_text_is_named_by_its_line(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mine\.yaml: line \d: a key is a mapping or a list"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(("text", "word"), [("run: [", "YAML"), ("- 1", "mapping"), (None, "cannot be read")])
def test_a_broken_file_is_named(tmp_path, text, word):
    file = tmp_path / "mine.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=r"mine\.yaml") as caught:
        load_config(file)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_used_without_a_configuration_have_the_schemas_defaults():
    config = complete_config({"models": {"m": {"network": "ednn"}}})
    model, training = config["models"]["m"], config["training"]
    compared = [
        (TrainingSettings, model["training"], {"augmentation"}),
        (Augmentation, model["training"]["augmentation"], set()),
        # An ednn takes images of any size, and only a cnn has a side.
        (ModelConfig, model, {"image_px"}),
        (DimerSettings, training["dimers"], set()),
        (IsingSettings, training["ising"], set()),
        (Outliers, config["labels"], set()),
    ]
    for settings, entry, left_out in compared:
        fields = [field for field in dataclasses.fields(settings) if field.name in entry.keys() - left_out]
        given = [field for field in fields if field.default is not dataclasses.MISSING]
        assert given, settings
        assert {field.name: plain(field.default) for field in given} == {f.name: entry[f.name] for f in given}


def plain(value):
    """Tuples as the lists that YAML has."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def test_a_readout_by_its_former_name_is_refused_with_the_new_one_and_read_from_weights():
    with pytest.raises(InputError, match=r"models\.m\.readout': 'equilibrated' is called 'charge-equilibration' now$"):
        complete_config({"models": {"m": {"network": "ednn", "readout": "equilibrated"}}})
    stored = {"network": "ednn", "form": "convolutional", "channels": ["C"], "readout": "equilibrated"}
    assert ModelConfig.from_dict(stored).readout == "charge-equilibration"
