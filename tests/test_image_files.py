"""Networks of users' own images: what of their settings is heeded, and which files are read."""

import h5py
import numpy as np
import pytest

from extensive.config import complete_config
from extensive.errors import InputError
from extensive.models import load_model
from extensive.training.image_files import read_labelled_images, train_on_images

MODEL = {
    "network": "ednn",
    "images": "mine.h5",
    "stem": [[4, 4, 2]],
    "width": 4,
    "blocks": 0,
    "head": [4],
    "focus_px": 4,
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as written:
        rng = np.random.default_rng(0)
        written["images"], written["energies"] = rng.random((12, 8, 8)), rng.random(12)
        written.attrs["energy_unit"] = "eV"
    return path


def train(file, **training):
    training = {"samples": 4, "batch_size": 2, "validations": 1, "forces_weight": 0, "augmentation": None, **training}
    entry = complete_config({"models": {"m": {**MODEL, "training": training}}})["models"]["m"]
    path = file.with_name("m")
    train_on_images("m", entry, file, {"block": 4, "md_test_every": 4}, 0, path, file.with_name("m.csv"), "cpu")
    return load_model(path)


def test_images_are_learned_from_as_many_as_are_asked_for(file):
    every, few = train(file), train(file, labels=3)
    assert (every.metadata["n_train"], few.metadata["n_train"]) == (6, 3)
    # The mean energy is that of the images which are learned from.
    assert every.reference_energies_eV != few.reference_energies_eV


def test_whole_numbers_of_atoms_are_read_of_any_type(file):
    for kind in (float, np.int8, np.uint64):
        with h5py.File(file, "a") as written:
            written.pop("n_atoms", None)
            written["n_atoms"] = np.arange(1, 13).astype(kind)
        assert read_labelled_images(file).n_atoms.tolist() == list(range(1, 13))


@pytest.mark.parametrize("value", [0, -2, 1.5, np.nan, np.inf])
def test_numbers_of_atoms_that_are_none_are_refused(file, value):
    with h5py.File(file, "a") as written:
        written["n_atoms"] = np.array([value, *[1] * 11])
    with pytest.raises(InputError, match=r"mine\.h5: n_atoms holds .*; each is a whole number, at least 1"):
        read_labelled_images(file)


@pytest.mark.parametrize("unit", [np.array(["eV"], dtype=object), np.bytes_(b"eV"), "eV"])
def test_a_unit_is_read_however_it_is_stored(file, unit):
    with h5py.File(file, "a") as written:
        written.attrs["energy_unit"] = unit
    assert len(read_labelled_images(file).energies) == 12


@pytest.mark.parametrize("unit", [np.array(["eV", "eV"], dtype=object), np.bytes_(b"\xff"), 1.0])
def test_a_unit_that_is_no_name_is_refused(file, unit):
    with h5py.File(file, "a") as written:
        written.attrs["energy_unit"] = unit
    with pytest.raises(InputError, match="it must be 'eV'"):
        read_labelled_images(file)
