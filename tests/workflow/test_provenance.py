"""Every rule has among its inputs the code that its script uses, and labels that it reads."""

import os
import re

import pytest

from extensive.config.provenance import code_of

# What computes labels, and what changes GPAW's arithmetic; see rule names below.
LABELS = {"label_chunk", "label_chunk_mpi", "audit", "convergence_labels", "physics_labels"}
DFT_TIMINGS = {"timing_dft", "timing_dft_mpi"}
# Of people's commands, of the driver alone, or what only passes names on.
USED_BY_NO_RULE = re.compile(
    r"cli/.*|config/(plan|reference_page|provenance)|reference/label|inference/(calculator|pixels)|training/cells|(\w+/)?__init__"
)


@pytest.fixture(scope="module")
def modules(workflow_copy) -> list[str]:
    source = workflow_copy.root / "src/extensive"
    return sorted(str(path.relative_to(workflow_copy.root)) for path in source.rglob("*.py"))


def users(rules, module: str) -> set[str]:
    return {name for name, rule in rules.items() if f"src/extensive/{module}.py" in rule["code"]}


def test_editing_any_module_reruns_exactly_the_rules_whose_scripts_reach_it(rules, modules, workflow_copy):
    root = workflow_copy.root
    reached = {}
    for name, rule in rules.items():
        figure = [f"extensive.figures.{rule['module']}"] if rule["script"] == "figure.py" else []
        code = code_of(root / "workflow/scripts" / rule["script"], root / "src", "extensive", *figure)
        reached[name] = {str(file.relative_to(root)) for file in code}
    for module in modules:
        expected = {name for name, files in reached.items() if module in files}
        assert {name for name, rule in rules.items() if module in rule["code"]} == expected, module
    assert {name: set(rule["code"]) for name, rule in rules.items()} == reached


def test_every_module_is_used_by_a_rule_or_known_to_be_used_by_none(rules, modules):
    for path in modules:
        module = path.removeprefix("src/extensive/").removesuffix(".py")
        if not USED_BY_NO_RULE.fullmatch(module):
            assert users(rules, module), module


@pytest.mark.parametrize("module", ["blocked", "bands", "prediction", "settings", "calculation"])
def test_what_changes_the_arithmetic_of_dft_reruns_labels_and_their_timing(rules, module):
    assert users(rules, f"reference/{module}") >= LABELS | DFT_TIMINGS


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("figures/scaling", {"figure_scaling"}),
        ("figures/convergence", {"figure_convergence"}),
        ("figures/learning_curves", {"figure_learning_curves", "figure_context"}),
        ("figures/network_data", {f"figure_data_{name}" for name in ("inputs", "kernel", "tiles", "networks")}),
        ("evaluation/claims", {"claims", "claims_seeds", "publish"}),
        ("training/ising", {"train_ising", "evaluate_ising"}),
        ("peers/tersoff", {"peers_compared"}),
        ("structures/sheet", {"sheet", "timing_networks"}),
    ],
)
def test_rules_that_use_a_module(rules, module, expected):
    assert users(rules, module) == expected


def test_labels_that_are_added_to_the_archive_are_seen(rules):
    assert {name for name, rule in rules.items() if rule["archive"]} == LABELS


@pytest.mark.medium
def test_labels_of_a_data_set_rerun_when_its_file_in_the_archive_is_newer(workflow_copy):
    root, name = workflow_copy.root, "graphene-pristine"
    made = [f"structures/{name}.extxyz", f"reference/chunks/{name}.0.extxyz", f"reference/chunks/{name}.0.failed.csv"]
    files = [root / "results/default" / file for file in made]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    target = ("--rerun-triggers", "mtime", "--", str(files[1].relative_to(root)))
    now = files[1].stat().st_mtime
    try:
        assert workflow_copy.planned(*target, preset="config") == {}
        os.utime(root / "results/published/labels/hbn-pristine.extxyz.gz", (now + 5, now + 5))
        assert workflow_copy.planned(*target, preset="config") == {}
        os.utime(root / f"results/published/labels/{name}.extxyz.gz", (now + 5, now + 5))
        assert workflow_copy.planned(*target, preset="config") == {"label_chunk": 1}
    finally:
        for file in files:
            file.unlink()
