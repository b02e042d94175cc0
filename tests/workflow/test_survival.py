"""Jobs of the workflow, killed at random moments or at marks: at the end every output is the undisturbed run's.

The full version, by hand: python -m pytest -m slow -s tests/workflow/test_survival.py
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results
import torch
from coarse_dft import COARSE
from own_models import rattled, write_model
from private_copy import copy_tree
from survival import Job, survive, table

from extensive import keys
from extensive.config import complete_config
from extensive.evaluation.claims import claims_table, write_claims
from extensive.io import read_json, read_structures, write_json, write_structures
from extensive.structures.datasets import generate_dataset

SEED = 20261122
KILLS = 11  # of each of five jobs
DFT = complete_config({"run": "test", "reference": {"dft": COARSE}})["reference"]["dft"]
DFT_MODULES = ["gpaw.new.ase_interface", "extensive.reference.chunks"]
TORCH_MODULES = ["extensive.training.launch", "extensive.timing.networks", "extensive.timing.sheet"]


def labelling(sampler: str, count: int, **more) -> Job:
    """A chunk of labels, or a trajectory, at the coarsest level of DFT."""
    name = f"graphene-{sampler}"
    spec = {"family": "graphene", "sampler": sampler, "count": count, "supercell": [1, 1], **more}
    spec = complete_config({"run": "test", "structures": {"datasets": {name: spec}}})["structures"]["datasets"][name]

    def prepare(folder: Path) -> None:
        write_structures(folder / "structures.extxyz", generate_dataset(name, spec, 5))

    def same(one: Path, other: Path) -> None:
        found = [read_structures(folder / "out/labelled.extxyz") for folder in (one, other)]
        assert len(found[0]) == len(found[1]) == (spec["md"]["frames"] if sampler == "md" else count)
        for first, second in zip(*found, strict=True):
            assert first.info[keys.STRUCTURE_ID] == second.info[keys.STRUCTURE_ID]
            if sampler == "md":
                assert abs(first.info[keys.REF_ENERGY] - second.info[keys.REF_ENERGY]) < 1e-4 * len(first)
                assert np.abs(first.positions - second.positions).max() < 1e-3
            else:
                assert first.info[keys.REF_ENERGY] == second.info[keys.REF_ENERGY]
                assert np.array_equal(first.arrays[keys.REF_FORCES], second.arrays[keys.REF_FORCES])
                assert np.array_equal(first.positions, second.positions)
                assert first.info[keys.REF_DIGEST] == second.info[keys.REF_DIGEST]
        assert (one / "out/failed.csv").read_bytes() == (other / "out/failed.csv").read_bytes()

    return Job(
        "dynamics" if sampler == "md" else "labels",
        "reference-label.py",
        prepare,
        same,
        DFT_MODULES,
        input={"structures": "structures.extxyz"},
        output={"labelled": "out/labelled.extxyz", "failed": "out/failed.csv"},
        params={
            "spec": spec,
            # What follows a kill starts without the densities before it, so a trajectory is the same to the DFT's own
            # convergence: tight here, so that a frame lost or taken twice could not hide in it.
            "dft": {**DFT, "density_convergence": 1e-7} if sampler == "md" else DFT,
            "archive": "",
            "leave_out": False,
            "accept": [],
            "chunk_size": 100,
            "seed": 5,
            "ranks": 1,
            "store": "store",
        },
        wildcards={"chunk": "0"},
    )


def training(samples: int) -> Job:
    """An ednn trained on energies and forces, which must end with the same bits."""
    model = {
        **{"network": "ednn", "tile_network": "convolutional", "channels": ["C"], "pixel_size_A": 0.4, "sigma_A": 0.5},
        **{"stem": [[8, 4, 2]], "width": 8, "blocks": 1, "head": [8], "focus_px": 4, "pitch_channels": True},
        "training": {"samples": samples, "batch_size": 4, "optimizer": "muon", "ema": 0.9, "validations": 10},
    }
    model = complete_config({"run": "test", "models": {"ednn": model}})["models"]["ednn"]

    def prepare(folder: Path) -> None:
        structures = []
        for index in range(10):
            atoms = rattled(seed=index)
            random = np.random.default_rng(index)
            atoms.info |= {keys.STRUCTURE_ID: f"graphene-{index:05d}", keys.FAMILY: "graphene"}
            atoms.info[keys.REF_ENERGY] = -9.0 * len(atoms) + random.normal()
            atoms.arrays[keys.REF_FORCES] = random.normal(size=(len(atoms), 3)) * [1, 1, 0]
            structures.append(atoms)
        names = [atoms.info[keys.STRUCTURE_ID] for atoms in structures]
        write_structures(folder / "data.extxyz", structures)
        write_json(folder / "splits.json", {"train": names[:8], "validation": names[8:]})

    def same(one: Path, other: Path) -> None:
        first, second = (torch.load(folder / "out/ednn.pt", weights_only=True) for folder in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        curves = [pd.read_csv(folder / "out/ednn-curve.csv").drop(columns="seconds") for folder in (one, other)]
        pd.testing.assert_frame_equal(*curves, check_exact=True)
        described = [read_json(folder / "out/ednn.json") for folder in (one, other)]
        for key in ("reference_energies_eV", "energy_scale_eV", "energy_shift_eV", "model"):
            assert described[0][key] == described[1][key]

    return Job(
        "training",
        "train.py",
        prepare,
        same,
        TORCH_MODULES,
        input={"structures": ["data.extxyz"], "splits": "splits.json"},
        output={"weights": "out/ednn.pt", "description": "out/ednn.json", "curve": "out/ednn-curve.csv"},
        params={"model": model, "device": "cpu", "checkpoints": "checkpoints", "known": []},
        wildcards={"model": "ednn"},
        # Every epoch, so that kills fall into the writing of checkpoints too.
        settings={"extensive.training.loop.CHECKPOINT_EVERY_S": 0.0},
    )


def sheet(blocks: tuple[int, int]) -> Job:
    """The energy of a porous sheet, streamed."""

    def prepare(folder: Path) -> None:
        write_model(folder / "model")
        write_model(folder / "other", seed=1)
        # What a kill in the midst of writing leaves: the moments of the kills below seldom hit it.
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints/.tmp-1234abcd-sheet-cpu.json").write_text('{"half')

    def same(one: Path, other: Path) -> None:
        rows = [pd.read_csv(folder / "out/sheet.csv") for folder in (one, other)]
        for column in ("method", "n_atoms", "energy_eV"):
            assert list(rows[0][column]) == list(rows[1][column])
        assert not list((other / "checkpoints").glob("*.json")), "partial sums outlived the result"

    section = {"blocks": list(blocks), "displacement_A": 0.05, "seed": 0, "dtype": "float32", "threads": 1}
    return Job(
        "sheet",
        "sheet.py",
        prepare,
        same,
        TORCH_MODULES,
        input={"models": ["model.pt", "other.pt"]},
        output={"table": "out/sheet.csv", "hardware": "out/sheet-hardware.json"},
        params={"sheet": section, "device": "cpu", "checkpoint": "checkpoints/sheet.json"},
    )


def publishing(figures: int) -> Job:
    """A run's results copied to a published folder that holds an earlier run's, and a page of its claims."""

    def prepare(folder: Path) -> None:
        run = synthetic_results.write_run(folder / "results/made-up")
        write_claims(
            run / "tables/claims.csv", claims_table(run, "cnn", "ednn", {"2D": "cnn-dimer-2d"}, {8: "ednn-ising-8"})
        )
        (run / "figures").mkdir()
        random = np.random.default_rng(0)
        for index in range(figures):
            (run / f"figures/figure-{index}.png").write_bytes(random.bytes(100_000))
        # What a killed figure leaves in the run is not published.
        (run / "figures/.tmp-1-figure-0.png").write_bytes(b"half")
        (folder / "published/tables").mkdir(parents=True)
        (folder / "published/tables/older.csv").write_text("kept\n")

    def same(one: Path, other: Path) -> None:
        one_has, other_has = (
            {
                str(path.relative_to(folder)): path.read_bytes()
                for path in [*folder.glob("published/**/*"), folder / "docs/claims.md"]
                if path.is_file() and (folder == one or not path.name.startswith(".tmp-"))
            }
            for folder in (one, other)
        )
        assert one_has == other_has
        assert b"kept\n" in other_has.values()

    return Job(
        "publishing",
        "publish.py",
        prepare,
        same,
        ["extensive.evaluation.publish", "pandas"],
        params={
            **{"run": "made-up", "production": True, "published": "published", "page": "docs/claims.md"},
            # A model that only a study compares.
            "left_out": ["ednn-context"],
        },
        whole="published/**/*",
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree")).root


@pytest.mark.medium
@pytest.mark.timeout(300)
def test_killed_publishing_and_sheet_end_as_if_nothing_had_happened(tmp_path, tree):
    assert survive(publishing(150), 4, SEED, tmp_path, tree, share=1.0).kills == 4
    assert survive(sheet((2, 8)), 2, SEED, tmp_path, tree).kills == 2


@pytest.mark.slow
@pytest.mark.dft
@pytest.mark.timeout(3600)
def test_more_than_fifty_kills_lose_nothing(tmp_path, tree):
    pytest.importorskip("gpaw")
    jobs = [
        (labelling("rattle", 10, strain=0.02), 1 / 3),
        (labelling("md", 1, md={"frames": 12, "save_every": 1}), 1 / 3),
        (training(2400), 1 / 3),
        (sheet((4, 40)), 1 / 3),
        # Publishing is over in a moment and begins from the beginning: any moment of it.
        (publishing(400), 1.0),
    ]
    tallies = []
    for job, share in jobs:
        tallies.append(survive(job, KILLS, SEED, tmp_path, tree, share))
        print(json.dumps(vars(tallies[-1])), flush=True)
    print(table(tallies))
    if "SURVIVAL_TABLE" in os.environ:
        Path(os.environ["SURVIVAL_TABLE"]).write_text(table(tallies) + "\n")
    assert sum(tally.kills for tally in tallies) >= 50


TINY = {
    "run": "tiny",
    "structures": {
        "datasets": {"graphene-rattle": {"family": "graphene", "sampler": "rattle", "count": 9, "supercell": [1, 1]}},
        "dimers": {},
        "ising": [],
    },
    "reference": {"dft": COARSE, "labels": {"archive": False, "audit": 0, "chunk_size": 3}},
    "models": {"ednn": training(240).params["model"]},
    "training": {"splits": {"block": 3}},
    "timing": {"networks": {"models": ["ednn"]}},
    "figures": {"draw": []},
}


# How far the workflow has come when it is killed, however long that takes: files, and how many of them. Labels that are
# done, within and between the jobs for three; then the splits; then the training, whose log is its beginning.
MARKS = [
    ("checkpoints/labels/graphene-rattle/[!.]*.extxyz", 2),
    ("reference/chunks/[!.]*.extxyz", 1),
    ("checkpoints/labels/graphene-rattle/[!.]*.extxyz", 8),
    ("splits.json", 1),
    ("logs/train/ednn.log", 1),
]


def still_there(root: Path) -> list[str]:
    """Processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(root) and (process / "cmdline").read_text():
                found.append((process / "cmdline").read_text())
        except OSError:  # it has just ended, or is another user's
            pass
    return found


@pytest.mark.slow
@pytest.mark.dft
@pytest.mark.timeout(3600)
def test_a_killed_workflow_is_started_again_and_ends_the_same(tmp_path):
    """Snakemake itself, with the job that it is at: from structures over DFT to a trained network."""
    pytest.importorskip("gpaw")
    target = "results/tiny/models/ednn.pt"
    trees = [copy_tree(tmp_path / name) for name in ("undisturbed", "killed")]
    for workflow in trees:
        write_json(workflow.root / "tiny.json", TINY)
    arguments = ["--configfile", "tiny.json", "--cores", "1", "--nolock"]
    trees[0].snakemake(*arguments, "--", target, preset=None)
    root = trees[1].root
    for pattern, count in MARKS:
        process = subprocess.Popen(
            trees[1].command(*arguments, "--", target, preset=None),
            cwd=root,
            env=trees[1].environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while len(list((root / "results/tiny").glob(pattern))) < count:
            assert process.poll() is None, f"the workflow ended before there were {count} of {pattern}"
            time.sleep(0.01)
        assert process.poll() is None, f"the workflow ended as soon as there were {count} of {pattern}"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while still_there(root):
            time.sleep(0.1)
    trees[1].snakemake(*arguments, "--", target, preset=None)
    one, other = (workflow.root / "results/tiny" for workflow in trees)
    for name in ("structures/graphene-rattle.extxyz", "splits.json", "reference/graphene-rattle.failed.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    found = [read_structures(folder / "reference/graphene-rattle.extxyz") for folder in (one, other)]
    assert len(found[0]) == len(found[1]) == 9
    for first, second in zip(*found, strict=True):
        assert first.info[keys.REF_DIGEST] == second.info[keys.REF_DIGEST]
        assert first.info[keys.REF_ENERGY] == second.info[keys.REF_ENERGY]
        assert np.array_equal(first.arrays[keys.REF_FORCES], second.arrays[keys.REF_FORCES])
    weights = [torch.load(folder / "models/ednn.pt", weights_only=True) for folder in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
