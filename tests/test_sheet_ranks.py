"""A sheet over several processes has the energy that one process finds."""

import pytest
import torch

from extensive.errors import InputError
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.timing.sheet import sheet_of_config
from extensive.timing.sheet_ranks import launch_sheet

NETWORK = ModelConfig(  # equilibrated: what all processes found is needed for the energy
    network="ednn", form="convolutional", channels=("C",), pixel_size_A=0.4, sigma_A=0.5, pitch_channels=True,
    focus_px=4, stem=((8, 4, 2),), width=8, blocks=1, head=(8,),
    readout="charge-equilibration",
)  # fmt: skip


@pytest.fixture
def job(tmp_path) -> dict:
    """A sheet of three strips of image rows, so that one of two processes has two of them."""
    torch.manual_seed(0)
    save_model(tmp_path / "ednn", Potential(build_model(NETWORK).eval(), {"C": -9.0}))
    section = {"blocks": [1, 20], "displacement_A": 0.05, "seed": 3, "dtype": "float32", "threads": 2}
    return {"section": section, "model": tmp_path / "ednn.pt", "device": "cpu"}


@pytest.mark.slow
def test_two_processes_find_the_energy_of_one(job, tmp_path):
    one = sheet_of_config(**job, checkpoint=tmp_path / "one.json")
    two = launch_sheet(**job, checkpoint=tmp_path / "two.json", processes=2)
    assert two.energy_eV == pytest.approx(one.energy_eV, rel=1e-9)
    assert (two.n_atoms, two.cores) == (one.n_atoms, 2)
    # Each process had work, and left its partial sums where it would go on from.
    assert len(list(tmp_path.glob("two-rank*.json"))) == 2
    network_alone = one.energy_eV + 9.0 * one.n_atoms
    assert abs(network_alone) > 1e-3 * one.n_atoms


@pytest.mark.medium
def test_processes_that_end_with_an_error_are_one_line(job, tmp_path):
    job["model"] = tmp_path / "missing.pt"
    with pytest.raises(InputError, match="sheet: 2 processes ended with"):
        launch_sheet(**job, checkpoint=tmp_path / "two.json", processes=2)
