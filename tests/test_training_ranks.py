"""Training on several ranks: two processes end where one with the same batches does, up to rounding."""

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms

from extensive import keys
from extensive.io import write_json, write_structures
from extensive.training.launch import launch

MODEL = {
    "network": "ednn",
    "tile_network": "convolutional",
    "channels": ["C"],
    "pixel_size_A": 0.4,
    "sigma_A": 0.5,
    "pitch_channels": True,
    "stem": [[8, 4, 2]],
    "width": 8,
    "blocks": 1,
    "head": [8],
    "focus_px": 2,
}


def labelled_sheets(count: int) -> list[Atoms]:
    """Atoms tied to their sites by springs: energies and forces that a network can learn something of."""
    sheets = []
    for index in range(count):
        rng = np.random.default_rng(index)
        sites = np.array([[x, y, 0.0] for x in range(3) for y in range(3)]) * 1.6
        moved = sites + 0.1 * rng.normal(size=sites.shape) * [1, 1, 0]
        atoms = Atoms("C9", moved, cell=[4.8, 4.8, 10.0], pbc=(True, True, False))
        atoms.info |= {keys.STRUCTURE_ID: f"springs-{index:05d}", keys.DATASET: "springs", keys.FAMILY: "graphene"}
        atoms.info |= {keys.SAMPLER: "rattle", keys.PARENT: f"springs-{index:05d}"}
        atoms.info[keys.REF_ENERGY] = float(10.0 * ((moved - sites) ** 2).sum() - 9.0)
        atoms.arrays[keys.REF_FORCES] = -20.0 * (moved - sites)
        sheets.append(atoms)
    return sheets


@pytest.mark.slow
def test_two_ranks_learn_as_one_process_with_the_same_batches(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sheets = labelled_sheets(13)
    names = [atoms.info[keys.STRUCTURE_ID] for atoms in sheets]
    write_structures(tmp_path / "springs.extxyz", sheets)
    # Nine structures in batches of four: the last step has one, so that the second rank has none.
    write_json(tmp_path / "splits.json", {"train": names[:9], "validation": names[9:]})
    training = {"samples": 90, "batch_size": 4, "validations": 10}
    for processes in (1, 2):
        job = {
            "name": "springs",
            "model": {**MODEL, "training": training},
            "structures": [str(tmp_path / "springs.extxyz")],
            "splits": str(tmp_path / "splits.json"),
            "path": str(tmp_path / f"ranks{processes}"),
            "curve": str(tmp_path / f"ranks{processes}.csv"),
            "device": "cpu",
            "checkpoints": str(tmp_path / f"checkpoints{processes}"),
        }
        launch(job, processes)
    one, two = (pd.read_csv(tmp_path / f"ranks{size}.csv").drop(columns="seconds") for size in (1, 2))
    assert len(one) == 10
    assert one.loss.nunique() == 10
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=2e-4)
    weights = [torch.load(tmp_path / f"ranks{size}.pt", weights_only=True) for size in (1, 2)]
    for key in weights[0]:
        torch.testing.assert_close(weights[0][key], weights[1][key], rtol=1e-3, atol=1e-5)
