"""A checkpoint is data: one that would run code is not read."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from extensive.training.checkpoint import load_checkpoint


class Hostile:
    """Unpickled with code execution allowed, it would leave a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_hostile_checkpoint_is_ignored_and_runs_nothing(tmp_path, form):
    harm = tmp_path / "harm"
    if form == "torch":
        torch.save({"stamp": "s", "network": Hostile(harm)}, tmp_path / "state.pt")
    else:
        (tmp_path / "state.pt").write_bytes(pickle.dumps(Hostile(harm), protocol=2))
    assert load_checkpoint(tmp_path, "s", torch.device("cpu")) is None
    assert not harm.exists()
