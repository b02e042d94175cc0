"""Which elements a network knows: those that it learned from, or that the weights did which it went on from."""

import pytest
from own_models import EDNN
from taught_sheets import sheet

from extensive import Calculator, keys
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.models import load_model
from extensive.training import fit
from extensive.training.cells import check_cells

GRAPHENE = [sheet(i) for i in range(4)]
NITRIDE = [sheet(i, "hbn-rattle", "hbn") for i in range(2)]
NAMES = {part: [atoms.info[keys.STRUCTURE_ID] for atoms in some] for part, some in (("c", GRAPHENE), ("bn", NITRIDE))}


def trained(folder, splits, **training):
    settings = {"samples": 2, "batch_size": 2, "augmentation": {"pitch": 0.0}, **training}
    model = {**EDNN.to_dict(), "training": settings}
    return fit.train_model("m", model, [*GRAPHENE, *NITRIDE], splits, folder / "m", folder / "m.csv", "cpu")


def test_elements_that_were_not_learned_are_not_known(tmp_path):
    splits = {"train": NAMES["c"][:3], "validation": NAMES["c"][3:]}
    assert trained(tmp_path, splits).elements == ["C"]
    doped = GRAPHENE[0].copy()
    doped.numbers[0] = 7
    with pytest.raises(InputError, match=r"element N is unknown to the model, which knows \['C'\]"):
        Calculator(tmp_path / "m", device="cpu").get_potential_energy(doped)
    # Channels for more do not keep it from being trained further; other elements do.
    (tmp_path / "further").mkdir()
    first = {"initial_weights": str(tmp_path / "m.pt")}
    assert trained(tmp_path / "further", splits, **first).elements == ["C"]
    with pytest.raises(InputError, match=r"knows \['C'\]; the structures have B as well"):
        trained(tmp_path / "further", {"train": NAMES["bn"], "validation": []}, **first)


def test_elements_of_the_first_weights_stay_known(tmp_path):
    both = {"train": [*NAMES["c"][:2], *NAMES["bn"]], "validation": []}
    elements = trained(tmp_path, both).elements
    assert elements == ["B", "C", "N"]
    first = load_model(tmp_path / "m").reference_energies_eV
    (tmp_path / "further").mkdir()
    further = {"train": NAMES["c"][:2], "validation": NAMES["bn"]}
    after = trained(tmp_path / "further", further, initial_weights=str(tmp_path / "m.pt")).reference_energies_eV
    assert (after["B"], after["N"]) == (first["B"], first["N"])


@pytest.mark.parametrize("part", ["validation", "test", "extrapolation"])
def test_an_element_that_only_later_sets_have_is_refused_before_the_training(tmp_path, monkeypatch, part):
    monkeypatch.setattr(fit, "train", lambda *args, **more: pytest.fail("it was trained first"))
    splits = {"train": NAMES["c"][:3], "validation": NAMES["c"][3:]} | {part: NAMES["bn"]}
    with pytest.raises(InputError, match=f"models.m: hbn-rattle-00000 of the set '{part}' has B, .* know C only"):
        trained(tmp_path, splits)


def checked(datasets, **training):
    sheets = {name: {"sampler": "rattle", "count": 4, **spec} for name, spec in datasets.items()}
    entry = {"network": "ednn", "channels": ["B", "C", "N"], "training": training}
    config = complete_config({"structures": {"datasets": sheets}, "models": {"m": entry}})
    check_cells(config, config["models"])


def test_configurations_of_such_sets_are_refused_before_any_job():
    carbon, nitride = {"family": "graphene"}, {"family": "hbn"}
    for datasets, training in (
        ({"a": carbon, "b": {**nitride, "set": "extrapolation"}}, {}),
        ({"a": carbon, "b": {**nitride, "set": "validation"}}, {}),
        ({"a": carbon, "b": nitride}, {"exclude": ["b"]}),  # a part of it is tested on
    ):
        with pytest.raises(InputError, match=r"models\.m: data set 'b' \(set: .*\) has B, which no data set has"):
            checked(datasets, **training)
    both = {"a": {"family": ["graphene", "hbn"]}}
    checked({**both, "b": {"family": "heterostructure", "set": "test"}})
    checked({**both, "b": {"family": "porous", "set": "extrapolation"}})
    checked({"a": carbon, "b": {**nitride, "set": "validation"}}, exclude=["b"])
    checked({"a": carbon, "b": {**nitride, "set": "test"}}, initial_weights="first.pt")


def test_a_few_sheets_do_not_stand_for_all_that_are_learned_from():
    """One atom in each of two sheets is of one element; among forty there are both."""
    dopants = {"family": "graphene-substitution", "defects": [1, 1], "count": 40}
    met = {"family": "heterostructure", "set": "test"}
    for seed in range(4):
        checked({"a": {**dopants, "seed": seed}, "b": met})
