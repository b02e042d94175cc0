"""Studies: which variants are trained, that each differs from its model as it says, what is collected of them."""

import json

import numpy as np
import pandas as pd
import pytest
import synthetic_results as synthetic

from extensive import keys
from extensive.config import complete_config, load_config, trainings
from extensive.errors import InputError
from extensive.evaluation import studies
from extensive.figures import ablation, calibration, context
from extensive.paths import repository_root
from extensive.training.targets import PARTS, with_target

BASE = {
    "run": "studies",
    "models": {"ednn": {"network": "ednn"}, "cnn": {"network": "cnn"}},
    "studies": {
        "seeds": 2,
        "ensembles": ["ednn"],
        "learning_curves": {
            "labels": [4, 8],
            "models": {"ednn-energies": {"model": "ednn", "changes": {"training": {"forces_weight": 0}}}},
        },
        "ablation": {"variants": {"narrow": {"sigma_A": 0.1}}},
        "components": {"targets": ["kinetic"]},
    },
}


def changed(**studies_of):
    models = {**BASE["models"], "pixels": {"network": "ednn", "images": "mine.h5"}}
    return complete_config({**BASE, "models": models, "studies": {**BASE["studies"], **studies_of}})


def test_variants_differ_as_they_say_and_by_nothing_else():
    config = complete_config(BASE)
    found = trainings.members(config)
    assert len(found) == 2 + 4 + 2 + 1
    base = config["models"]["ednn"]
    for member, entry in found.items():
        differing = {key for key in entry if entry[key] != base[key]} - {"training"}
        assert differing == ({"sigma_A"} if member.study == trainings.ABLATION else set())
        in_training = {key for key in base["training"] if entry["training"][key] != base["training"][key]} - {"seed"}
        expected = {
            trainings.LEARNING_CURVES: {"forces_weight", "labels"},
            trainings.COMPONENTS: {"forces_weight", "target"},
        }
        assert in_training == expected.get(member.study, set())
        assert entry["training"]["seed"] == member.seed


def test_a_study_has_its_own_seeds_and_samples_where_it_names_them():
    curve = {"ednn-energies": {"model": "ednn"}, "cnn": {"model": "cnn", "changes": {"training": {"samples": 70}}}}
    config = changed(
        ablation={"variants": {"narrow": {"sigma_A": 0.1}}, "seeds": 1, "samples": 50},
        learning_curves={"labels": [4], "models": curve, "samples": 60},
        components={"targets": ["kinetic"], "samples": 80},
    )
    found = {
        (m.study, m.variant, m.seed): entry["training"]["samples"] for m, entry in trainings.members(config).items()
    }
    own = config["models"]["ednn"]["training"]["samples"]
    assert found == {
        (trainings.ABLATION, "narrow", 0): 50,
        **{(trainings.LEARNING_CURVES, "ednn-energies", seed): 60 for seed in (0, 1)},
        **{(trainings.LEARNING_CURVES, "cnn", seed): 70 for seed in (0, 1)},  # the curve's own word is the last
        (trainings.COMPONENTS, "kinetic", 0): 80,
        **{(trainings.SEEDS, "ednn", seed): own for seed in (0, 1)},
    }


def test_the_same_training_in_two_studies_is_done_once():
    config = changed(
        context={"variants": {"c": {}, "wide": {"dilations": [1, 1, 2, 2]}}}, ablation={"variants": {"all": {}}}
    )
    found = trainings.members(config)
    names = {(m.study, m.variant, m.seed): m.model for m in found}
    # The published model is the first of its ensemble, and whatever changes nothing is trained as it.
    all_of_it = (trainings.SEEDS, "ednn"), (trainings.ABLATION, "all"), (trainings.CONTEXT, "c")
    assert {names[*member, 0] for member in all_of_it} == {"ednn"}
    assert len({names[*member, 1] for member in all_of_it}) == 1
    assert len({names[trainings.CONTEXT, "wide", seed] for seed in (0, 1)} - {"ednn"}) == 2
    for member, entry in found.items():
        assert all(other == entry for m, other in found.items() if m.model == member.model)


def test_what_only_studies_compare_is_no_member_of_an_ensemble():
    """A variant that is an ensemble's other seed is trained once, and published as that seed."""
    config = changed(ablation={"variants": {"all": {}, "narrow": {"sigma_A": 0.1}}}, learning_curves={"labels": []})
    found = trainings.compared_only(trainings.members(config), config["models"])
    assert found == ["ednn-ablation-narrow-seed0", "ednn-ablation-narrow-seed1", "ednn-kinetic"]


def test_a_name_that_stands_for_two_models_is_refused():
    models = {**BASE["models"], "ednn-seed1": {"network": "ednn", "sigma_A": 0.3}}
    with pytest.raises(InputError, match="'ednn-seed1' stands for two models"):
        trainings.members(complete_config({**BASE, "models": models}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ensembles": ["edn"]}, "studies.seeds: 'edn' is not among models"),
        ({"ablation": {"variants": {"x": {"sigma": 0.1}}}}, "unknown key 'models.ednn-ablation-x-seed0.sigma'"),
        ({"ablation": {"variants": {"x": {"sigma_A": -1}}}}, "studies.ablation.x"),
        ({"ensembles": ["pixels"]}, "studies.seeds.pixels: trained on images; studies are of models of sheets"),
        ({"ablation": {"model": "pixels", "variants": {"x": {"width": 8}}}}, "studies.ablation.x: trained on images"),
        ({"ablation": {"variants": {"x": {"images": "mine.h5"}}}}, "studies.ablation.x: trained on images"),
    ],
)
def test_a_study_that_makes_no_model_is_named(wrong, message):
    with pytest.raises(InputError, match=message.replace("'", ".")):
        trainings.members(changed(**wrong))


@pytest.mark.medium
def test_presets_name_models_that_exist():
    folder = repository_root() / "config"
    for preset in sorted(folder.glob("*.yaml")):
        config = load_config(preset)
        if config["models"]:
            trainings.members(config)


def test_collect_reads_what_was_trained_and_how_well(tmp_path):
    member = next(m for m in trainings.members(complete_config(BASE)) if m.study == trainings.LEARNING_CURVES)
    model = {"context_px": 5, "model": {"pixel_size_A": 0.4}, "metadata": {"n_train": 3, "seconds": 7.0}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    (tmp_path / "test.json").write_text(json.dumps({"count": 2, "mae_meV_per_atom": 1.5}))
    (tmp_path / "none.json").write_text(json.dumps({"count": 0}))
    files = [{"test": str(tmp_path / "test.json"), "supercells": str(tmp_path / "none.json")}]
    table = studies.collect([member], [tmp_path / "model.json"], files)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["n_labels"], row["set"], row["mae_meV_per_atom"], row["context_A"]) == (3, "test", 1.5, 2.0)
    assert np.isnan(row["forces_mae_meV_per_A"])


def test_an_ensemble_is_the_mean_and_its_spread():
    table = synthetic.predictions("test")
    shifted = table.assign(energy_predicted_eV=table["energy_predicted_eV"] + 2.0)
    both = studies.ensemble([table, shifted])
    np.testing.assert_allclose(both["energy_predicted_eV"], table["energy_predicted_eV"] + 1.0)
    np.testing.assert_allclose(both["energy_std_eV"], np.sqrt(2.0))
    with pytest.raises(InputError, match="different structures"):
        studies.ensemble([table, table.iloc[::-1].reset_index(drop=True)])
    with pytest.raises(InputError, match="no spread"):
        studies.ensemble([table])


@pytest.mark.medium
def test_parts_of_a_label_add_up_to_its_energy():
    from extensive.reference.archive import Archive

    archive = Archive(repository_root() / "results/published/labels")
    archive.refresh()
    labelled = next(iter(archive.by_digest().values()))
    parts = {target: with_target([labelled], target)[0] for target in PARTS}
    stored = json.loads(labelled.info[keys.REF_COMPONENTS])
    total = sum(atoms.info[keys.REF_ENERGY] for atoms in parts.values())
    # The label is the free energy: the electrons' entropy counts, the extrapolation to zero width does not.
    assert total + stored["entropy"] == pytest.approx(labelled.info[keys.REF_ENERGY], abs=1e-5)
    assert all(keys.REF_FORCES not in atoms.arrays for atoms in parts.values())
    labelled.info.pop(keys.REF_COMPONENTS)
    with pytest.raises(InputError, match="no REF_components"):
        with_target([labelled], "kinetic")


def test_figures_of_studies_show_every_row():
    rows = [("full", "ednn", s, "validation", 1.0 + s, 9.0) for s in range(2)]
    rows += [("no forces", "ednn", s, "validation", 5.0 + s, np.nan) for s in range(2)]
    drawing = ablation.draw(pd.DataFrame(rows, columns=list(ablation.COLUMNS)))
    assert drawing.numbers["mean"]["full"] == {"mae_meV_per_atom": 1.5, "forces_mae_meV_per_A": 9.0}
    assert "forces_mae_meV_per_A" not in drawing.numbers["mean"]["no forces"]
    rows = [(f"c{c}", c, s, "validation", 9.0 / c + s, 1.0) for c in (2.0, 3.0) for s in range(2)]
    assert context.draw(pd.DataFrame(rows, columns=list(context.COLUMNS))).numbers["best_context_A"] == 3.0
    table = synthetic.predictions("test")
    spread = table.assign(energy_std_eV=(table["energy_predicted_eV"] - table["energy_dft_eV"]).abs() / 1.5)
    assert calibration.draw({"test": spread}, trainings=3).numbers["within_two"] == 1.0


def test_errors_of_a_calibrated_ensemble_lie_where_its_figure_expects_them():
    generator = np.random.default_rng(0)
    for count in (2, 3, 10):
        draws = generator.normal(size=(40_000, count + 1))
        ratio = np.abs(draws[:, 0] - draws[:, 1:].mean(axis=1)) / draws[:, 1:].std(axis=1, ddof=1)
        for reach in (0.5, 2.0):
            assert calibration.share_within(reach, count) == pytest.approx((ratio <= reach).mean(), abs=0.01)
    assert calibration.share_within(2.0, 10_000) == pytest.approx(0.9545, abs=1e-3)
