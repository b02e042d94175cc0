"""The three presets plan; lint is clean; a wrong key is named in one line."""

import re

import pytest

from extensive.config import load_config

STAGES = ("structures", "label", "rasterize", "train", "evaluate", "timing", "figure")


@pytest.mark.parametrize(
    "preset", ["smoke", *(pytest.param(preset, marks=pytest.mark.medium) for preset in ("config", "paper"))]
)
def test_every_stage_of_a_preset_is_planned(workflow_copy, preset):
    rules = workflow_copy.planned(preset=preset)
    for stage in STAGES:
        assert any(stage in rule for rule in rules), f"no rule of stage {stage} in {sorted(rules)}"


@pytest.mark.medium
def test_default_preset_is_found_without_naming_it(workflow_copy):
    assert workflow_copy.planned(preset=None) == workflow_copy.planned(preset="config")


@pytest.mark.medium
def test_lint_is_clean(workflow_copy):
    done = workflow_copy.snakemake("--lint", check=False)
    assert done.returncode == 0, done.stdout


def test_unknown_key_is_named_in_one_line(workflow_copy):
    done = workflow_copy.snakemake("--dry-run", "--config", "sed=3", check=False)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if "unknown key 'sed'" in line]
    assert len(lines) == 1
    assert "did you mean 'seed'?" in lines[0]
    assert "Traceback" not in done.stdout


@pytest.mark.medium
def test_leaving_out_a_data_set_that_is_not_there_is_refused_in_one_line(workflow_copy):
    done = workflow_copy.snakemake(
        "--dry-run", "--config", 'models={"ednn": {"training": {"exclude": ["hbm-*"]}}}', check=False
    )
    assert done.returncode != 0
    assert "models.ednn.training.exclude: 'hbm-*' is none of structures.datasets" in done.stdout
    assert "Traceback" not in done.stdout


def test_every_rule_that_computes_declares_what_the_house_asks(workflow_copy):
    """conda, log, benchmark, resources on every rule with a script or shell."""
    for file in sorted((workflow_copy.root / "workflow" / "rules").glob("*.smk")):
        text = file.read_text()
        for match in re.finditer(r"^(?:rule|checkpoint) (\w+):\n((?:[ \t].*\n|\n)+)", text, re.M):
            name, body = match.groups()
            if not re.search(r"^    (script|shell|run):", body, re.M):
                continue
            for directive in ("log", "benchmark", "resources", "conda"):
                assert re.search(rf"^    {directive}:", body, re.M), f"{file.name}: rule {name} has no {directive}"


@pytest.mark.medium
def test_a_figure_of_errors_is_planned_only_where_there_is_a_set_to_test_on(workflow_copy):
    sheet = "family: graphene, sampler: rattle, count: 2"
    (workflow_copy.root / "config" / "untested.yaml").write_text(f"""
        models: {{ednn: {{network: ednn}}}}
        structures: {{datasets: {{a: {{{sheet}, set: train}}, b: {{{sheet}, set: validation}}}}}}
        timing: {{networks: {{models: [ednn]}}}}
    """)
    planned = workflow_copy.planned(preset="untested")
    assert planned["figure_networks"] == 1
    assert "figure_ednn_accuracy" not in planned
    done = workflow_copy.snakemake(
        "--dry-run", "--config", 'figures={"draw": ["ednn-accuracy"]}', preset="untested", check=False
    )
    assert "'ednn-accuracy' cannot be drawn" in done.stdout
    assert "sets to test on, are missing" in done.stdout


@pytest.mark.medium
def test_studies_are_trained_only_when_asked_for(workflow_copy):
    models = load_config(workflow_copy.root / "config" / "config.yaml")["models"]
    assert workflow_copy.planned(preset="config")["train"] == len(models)
    assert workflow_copy.planned("--cores", "2", "studies", preset="config")["train"] > len(models)


@pytest.mark.medium
def test_ensembles_of_students_without_the_figures_ednn_and_fixed_images_of_an_ednn_are_planned(workflow_copy):
    (workflow_copy.root / "config" / "others.yaml").write_text("""
        structures:
          datasets:
            a-rattle: {family: graphene, sampler: rattle, count: 20}
            b-rattle: {family: graphene, sampler: rattle, count: 20, teacher: {models: [ednn]}}
        models:
          ednn: {network: ednn, training: {forces_weight: 0, augmentation: null}}
          cnn: {network: cnn, image_px: 64}
          small: {network: ednn, training: {teacher_labels: true}}
        timing: {networks: {models: [ednn]}}
        studies: {seeds: 2, ensembles: [small, cnn]}
    """)
    planned = workflow_copy.planned("--cores", "2", "publish", preset="others")
    # Validation and test of both, and the test of the one against its teacher.
    assert planned["ensemble"] == 5
    assert "figure_calibration" not in planned
    # A file's images have one shape, those of an ednn the shapes of their cells: its training makes them.
    assert planned["train"] == 5
    assert "rasterize" not in planned


@pytest.mark.medium
def test_what_was_learned_from_is_predicted_only_when_asked_for(workflow_copy):
    usual = workflow_copy.snakemake("--dry-run", preset="config").stdout
    assert "-train.csv" not in usual
    planned = workflow_copy.planned("--", "results/default/predictions/ednn-symmetric-train.csv", preset="config")
    assert planned["evaluate_symmetric"] == planned["train"] == 1


@pytest.mark.medium
def test_peers_are_compared_only_when_asked_for(workflow_copy):
    assert "peer_mace" not in workflow_copy.planned(preset="config")
    planned = workflow_copy.planned("--cores", "2", "peers", preset="config")
    assert planned["peer_mace"] == 2
    assert planned["peer_uf3"] == planned["peer_snap"] == planned["peers_compared"] == planned["figure_peers"] == 1


@pytest.mark.medium
def test_one_training_follows_another_with_every_seed(workflow_copy):
    """Pre-training and fine-tuning are two models of one configuration."""
    text = """
        models: {cnn: {training: {samples: 8}}, ednn: {training: {initial_weights: first}},
                 first: {network: ednn, training: {samples: 8}}}
        studies: {seeds: 2, ensembles: [ENSEMBLES], learning_curves: {models: {}}, ablation: {variants: {}},
                  context: {variants: {}}, components: {targets: []}}
    """
    on = workflow_copy.root / "config" / "on.yaml"
    files = ("--configfile", "config/config.yaml", "config/on.yaml", "--", "results/default/models/ednn.pt")
    on.write_text(text.replace("ENSEMBLES", "ednn, first"))
    assert workflow_copy.planned(*files, preset=None)["train"] == 2
    assert workflow_copy.planned(*files, "results/default/models/ednn-seed1.pt", preset=None)["train"] == 4
    # What others go on from meets no test set, and what is published has its error bars.
    published = workflow_copy.snakemake("--dry-run", *files[:-1], "publish", preset=None).stdout
    ensembles = ("predictions/ednn-seed1-test.csv", "predictions/ednn-symmetric-ensemble-test.csv")
    for wanted in (*ensembles, "claims-seeds.csv"):
        assert wanted in published
    assert "predictions/first" not in published
    on.write_text(text.replace("ENSEMBLES", "ednn"))
    done = workflow_copy.snakemake(
        "--dry-run", *files[:-1], "results/default/models/ednn-seed1.pt", preset=None, check=False
    )
    assert "'first' has no training of seed 1 to go on from" in done.stdout


@pytest.mark.medium
def test_a_network_is_validated_on_what_its_training_takes_or_its_teachers(workflow_copy):
    """Two levels of labels must not meet in one error, nor in the error that rounding is measured by."""
    models = ("ednn", "ednn-fast", "cnn")
    targets = [f"results/complete/predictions/{model}-validation.csv" for model in models]
    targets.append("results/complete/models/ednn-first-rounding.json")
    plan = workflow_copy.snakemake(
        "--dry-run", "--configfile", "config/published.yaml", "--", *targets, preset=None
    ).stdout
    made_of = dict(re.findall(r"^Job \d+: (.*)\nReason: (.*)$", plan, re.M))
    first, ground_state = "reference/first-validation.", "reference/heterostructure-validation-rattle."
    for model in models:
        assert first not in made_of[f"Predicting validation with {model}"]
        assert ground_state in made_of[f"Predicting validation with {model}"]
    assert first in made_of["What bfloat16 rounds of ednn-first"]
    assert ground_state not in made_of["What bfloat16 rounds of ednn-first"]


@pytest.mark.medium
def test_a_training_that_goes_on_needs_the_weights_of_its_own_seed(workflow_copy):
    text = 'models: {ednn: {training: {seed: 1, initial_weights: "results/published/models/ednn-seed{seed}.pt"}}}'
    (workflow_copy.root / "config" / "on.yaml").write_text(text)
    configs = [f"config/{name}.yaml" for name in ("config", "on")]
    files = ("--configfile", *configs, "--", "results/default/models/ednn.pt")
    assert workflow_copy.planned(*files, preset=None)["train"] == 1
    first = workflow_copy.root / "results/published/models/ednn-seed1.pt"
    aside = first.rename(first.with_suffix(".aside"))
    try:
        done = workflow_copy.snakemake("--dry-run", *files, preset=None, check=False)
    finally:
        aside.rename(first)
    assert done.returncode != 0
    assert "results/published/models/ednn-seed1.pt" in done.stdout
