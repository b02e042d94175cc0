"""Expected cost: it follows from the configuration as the physics says, and errs on the side of more."""

import copy
import math
import subprocess
import sys
import time

import pytest

from extensive.config import load_config, plan
from extensive.paths import repository_root

ROOT = repository_root()


@pytest.fixture(scope="module")
def default() -> dict:
    return load_config(ROOT / "config/config.yaml")


@pytest.fixture(scope="module")
def paper() -> dict:
    return load_config(ROOT / "config/paper.yaml")


def test_label_seconds_bracket_what_was_measured(default):
    # One core, LCAO dzp, eight k-points on 120 x 120 x 48 grid points: 55 to 150 s on machines of one kind.
    dft = default["reference"]["dft"]
    assert 90 <= plan.label_seconds([5, 3], dft) <= 180
    # One k-point: 45 s on 100 x 100 x 32 points, 36 s on 80 x 80 x 32.
    few = dict(dft, kpoints=[2, 2], mirror_kpoints=False, vacuum_A=3.2, grid_points=[100, 100])
    assert 40 <= plan.label_seconds([5, 3], few) <= 90
    assert 32 <= plan.label_seconds([5, 3], dict(few, grid_points=[80, 80])) <= 72
    # Several processes: GPAW's own sums.
    assert plan.label_seconds([10, 6], dft, 2) > plan.label_seconds([10, 6], dft)


def test_larger_cells_cost_more_than_in_proportion_and_coarser_settings_less(default):
    dft = default["reference"]["dft"]
    # Equal sampling: twice the cell has half the k-points.
    assert plan.label_seconds([10, 6], dft) > 4 * plan.label_seconds([5, 3], dft)
    coarse = dict(dft, basis="sz(dzp)", z_spacing_A=0.3)
    assert plan.label_seconds([5, 3], coarse) < plan.label_seconds([5, 3], dft) / 3


def test_cells_of_other_shapes_count_by_their_atoms():
    rectangular = {"cell": "rectangular", "supercell": [5, 3]}
    hexagonal = {"cell": "hexagonal", "supercell": [6, 5]}
    chiral = {"cell": {"chiral": [2, 1]}, "supercell": [2, 2]}
    assert [4 * math.prod(plan.supercell_of(spec)) for spec in (rectangular, hexagonal, chiral)] == [60, 60, 56]


def test_chunks_add_up_to_all_labels(paper):
    """Hours do not depend on how the work is cut."""
    cut = copy.deepcopy(paper)
    cut["reference"]["labels"]["chunk_size"] = 20
    assert plan.label_hours(cut) == pytest.approx(plan.label_hours(paper))
    each = plan.label_seconds([5, 3], paper["reference"]["dft"])
    assert plan.chunk_seconds(paper, "graphene-rattle") == pytest.approx(
        paper["reference"]["labels"]["chunk_size"] * each
    )


def test_training_grows_with_samples_and_is_shorter_on_a_gpu(paper):
    model = copy.deepcopy(paper["models"]["ednn"])
    on_gpu, on_cpu = paper | {"device": "cuda"}, paper | {"device": "cpu"}
    once = plan.training_seconds(model, on_gpu)
    model["training"]["samples"] *= 2
    assert plan.training_seconds(model, on_gpu) > 1.5 * once
    assert plan.training_seconds(model, on_cpu) > 10 * plan.training_seconds(model, on_gpu)


def test_stress_takes_half_as_long_again_as_forces_and_three_times_as_long_as_energies_alone(paper):
    def seconds(**weights: float) -> float:
        model = copy.deepcopy(paper["models"]["ednn"])
        model["training"] |= weights
        return plan.training_seconds(model, paper) - 60  # less what every training takes

    energies = seconds(forces_weight=0)
    assert seconds(forces_weight=0, stress_weight=0.1) == pytest.approx(3 * energies)
    assert seconds(stress_weight=0.1) == pytest.approx(1.5 * seconds())


def test_other_seeds_that_a_teacher_needs_are_counted_with_what_they_go_on_from():
    config = load_config(ROOT / "config/published.yaml")
    alone = copy.deepcopy(config)
    for spec in alone["structures"]["datasets"].values():
        if spec["teacher"]:
            spec["teacher"]["models"] = ["ednn"]
    hours, fewer = (plan.stage_hours(each)["training"]["cores"] for each in (config, alone))
    chain = sum(plan.training_seconds(config["models"][model], config) for model in ("ednn-first", "ednn")) / 3600
    assert hours - fewer == pytest.approx(2 * chain)


def test_what_only_studies_train_is_said_beside_the_run():
    config = load_config(ROOT / "config/published.yaml")
    fewer = copy.deepcopy(config)
    fewer["studies"]["ensembles"] = ["ednn-first", "ednn"]
    hours, less = (plan.stage_hours(each)["studies"]["cores"] for each in (config, fewer))
    # Two more seeds of the networks that no teacher needs.
    seeds = 2 * sum(plan.training_seconds(config["models"][model], config) for model in ("cnn", "cnn-forces")) / 3600
    assert hours - less == pytest.approx(seeds)
    assert f"`snakemake studies` trains beside: {hours:.1f} core-hours" in plan.summary(config)


def test_a_further_block_costs_what_its_channels_say(paper):
    model = paper["models"]["ednn"]
    cost = plan.network_flops_per_pixel
    whole = cost(model | {"blocks": model["blocks"] + 1}) - cost(model)
    widths = [model["width"]] * model["blocks"]
    half = cost(model | {"blocks": model["blocks"] + 1, "inner_widths": [*widths, model["width"] // 2]}) - cost(model)
    assert 0 < half == pytest.approx(whole / 2)


def test_fixed_images_count_in_a_trainings_memory(paper):
    images = plan.training_memory_MB(paper, paper["models"]["cnn"])
    assert images > 1000 + plan.training_memory_MB(paper, paper["models"]["ednn"])


@pytest.mark.parametrize("dataset", ["graphene-rattle", "graphene-md", "supercells-360"])
def test_jobs_of_the_paper_preset_fit_a_usual_queue(paper, dataset):
    assert plan.minutes(plan.chunk_seconds(paper, dataset)) <= 24 * 60
    # Per core that the job takes.
    ranks = plan.ranks(paper, paper["structures"]["datasets"][dataset]["supercell"])
    assert plan.label_memory_MB(paper, dataset) <= 8000 * ranks


def test_cells_above_a_size_take_several_processes_sooner_and_at_a_price(paper):
    alone = copy.deepcopy(paper)
    alone["reference"]["mpi"]["above_atoms"] = None
    ranks = paper["reference"]["mpi"]["ranks"]
    assert [plan.ranks(paper, cells) for cells in ([5, 3], [10, 3], [10, 6])] == [1, 1, ranks]
    one, several = (plan.chunk_seconds(config, "supercells-240") for config in (alone, paper))
    assert several < one < ranks * several
    # No ideal speed-up is promised, and each rank has memory of its own.
    assert plan.label_hours(paper) > plan.label_hours(alone)
    assert plan.label_memory_MB(paper, "supercells-240") > plan.label_memory_MB(alone, "supercells-240")
    assert plan.chunk_seconds(paper, "graphene-rattle") == plan.chunk_seconds(alone, "graphene-rattle")


def test_memory_covers_what_gpaw_was_seen_to_use(default):
    # One core, LCAO dzp: 1.3 GB for 60 atoms and 2.75 GB for 120; Snakemake takes 0.3 beside it.
    assert plan.cell_memory_MB(default, [5, 3], 1) > 1.5 * 1300
    assert plan.cell_memory_MB(default, [10, 3], 1) > 1.3 * 2750


@pytest.mark.slow
def test_ten_thousand_structures_plan_within_a_minute_as_a_few_hundred_jobs(paper):
    """The paper preset: the dry-run is quick, prints core-hours, and no cluster receives thousands of jobs."""
    specs = paper["structures"]["datasets"].values()
    assert sum(spec["count"] for spec in specs if spec["sampler"] != "md") >= 10_000
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--nolock", "-n", "--forceall", "--quiet", "rules"]
        + ["--workflow-profile", "profiles/slurm", "--configfile", "config/paper.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert "core-hours" in output
    counts = {
        words[0]: int(words[1])
        for words in (line.split() for line in output.splitlines())
        if len(words) == 2 and words[1].isdigit()
    }
    assert 10_000 / paper["reference"]["labels"]["chunk_size"] < counts["label_chunk"] + counts["label_chunk_mpi"] < 500
    assert seconds < 60
