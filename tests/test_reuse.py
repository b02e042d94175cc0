"""Which earlier trainings, or states of them, are the same: all that weights and their numbers depend on is asked."""

import json
from pathlib import Path

import pytest
from own_models import EDNN
from taught_sheets import sheet

from extensive import keys
from extensive.io import read_json, write_json
from extensive.training import checkpoint, fit, reuse

STRUCTURES = [sheet(i) for i in range(8)]
NAMES = [atoms.info[keys.STRUCTURE_ID] for atoms in STRUCTURES]
ENERGIES = {"target": "kinetic", "forces_weight": 0.0, "stress_weight": 0.0}


def train(folder: Path, structures=STRUCTURES, validation=slice(6, 8), name="m", known=(), **training):
    settings = {"samples": 2, "batch_size": 2, "augmentation": {"pitch": 0.0}, **training}
    model = {**EDNN.to_dict(), "training": settings}
    splits, path = {"train": NAMES[:5], "validation": NAMES[validation]}, folder / name
    return fit.train_model(name, model, structures, splits, path, folder / f"{name}-curve.csv", "cpu", known=known)


class Enough(Exception):
    """Raised with a training's stamp in its place."""


def stop(*arguments, **more):
    raise Enough(arguments[7])


@pytest.fixture
def stamp_of(tmp_path, monkeypatch):
    """The stamp that a training's checkpoints would bear."""

    def stamp(*arguments, **more):
        with pytest.raises(Enough) as caught:
            train(tmp_path, *arguments, **more)
        return str(caught.value)

    monkeypatch.setattr(fit, "train", stop)
    return stamp


def test_a_checkpoint_is_of_one_validation_set(stamp_of):
    first = stamp_of()
    assert stamp_of() == first
    assert stamp_of(validation=slice(5, 7)) != first
    changed = [atoms.copy() for atoms in STRUCTURES]
    changed[7].info[keys.REF_ENERGY] += 0.01
    assert stamp_of(changed) != first


def test_a_checkpoint_is_of_the_part_of_the_energy_that_is_learned(stamp_of):
    def with_parts(kinetic_eV, other_eV):
        found = [atoms.copy() for atoms in STRUCTURES]
        for atoms in found:
            atoms.info[keys.REF_COMPONENTS] = json.dumps({"kinetic": kinetic_eV * len(atoms), "xc": other_eV})
        return found

    first = stamp_of(with_parts(1.0, 2.0), **ENERGIES)
    assert stamp_of(with_parts(1.5, 2.0), **ENERGIES) != first
    assert stamp_of(with_parts(1.0, 2.5), **ENERGIES) == first
    # The whole energy does not depend on what it is made of.
    assert stamp_of(with_parts(1.0, 2.0)) == stamp_of(with_parts(1.5, 2.0)) == stamp_of()


@pytest.mark.parametrize("file", ["structures/frame.py", "structures/direction.py", "models/ednn.py"])
def test_a_checkpoint_is_of_the_code_that_a_training_runs(monkeypatch, file):
    before, digest_of = checkpoint.stamp({}, {}), checkpoint.file_digest
    edited = Path(checkpoint.__file__).parents[1] / file
    monkeypatch.setattr(checkpoint, "file_digest", lambda path: "0" * 64 if path == edited else digest_of(path))
    assert checkpoint.stamp({}, {}) != before


def test_weights_are_taken_for_one_validation_set(tmp_path, monkeypatch):
    train(tmp_path)
    asked = []

    def taken(**changes):
        try:
            train(tmp_path, name="again", known=[tmp_path / "m"], **changes)
        except Enough:
            return False
        return True

    def is_trained(place, *digests):
        asked[:] = digests
        return reuse.is_trained(place, *digests)

    monkeypatch.setattr(fit, "train", stop)
    monkeypatch.setattr(fit, "is_trained", is_trained)
    assert not taken(validation=slice(5, 7))
    assert taken()
    # What was published before says how many structures it was validated on, not which.
    wanted, (older, count) = asked
    description = read_json(tmp_path / "m.json")
    assert description["metadata"][reuse.TRAINING_DIGEST] == wanted != older
    assert description["metadata"]["n_validation"] == count == 2
    description["metadata"][reuse.TRAINING_DIGEST] = older
    write_json(tmp_path / "m.json", description)
    assert taken()
    assert not taken(validation=slice(7, 8))
