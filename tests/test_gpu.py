"""What runs on a GPU is what runs on a CPU: padding, energies, forces, the engine and training."""

import pytest
import torch
from taught_sheets import curves_on, sheet

from extensive.inference import AtomsSource, Engine, stream_energy
from extensive.models import load_model
from extensive.models.functions import cuda_convolutions, wrap_pad
from extensive.paths import repository_root
from extensive.timing.networks import timing_cell

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible to PyTorch"),
]
MODEL = repository_root() / "results" / "published" / "models" / "ednn"
# Of energies, eV/atom, and of forces, eV/Angstrom: float32 in another order.
ROUNDING = {"atol": 2e-6, "rtol": 0}
FORCES_ROUNDING = {"atol": 5e-4, "rtol": 0}


@pytest.mark.parametrize(("twist", "rows"), [(0, None), (5, None), (5, (-4, -3, 0, 1, 4, 5))])
def test_padding_and_its_derivatives(twist, rows):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 4, 12, dtype=torch.float64, generator=generator)
    found = {}
    for device in ("cpu", "cuda"):
        x = image.detach().to(device).requires_grad_()
        padded = wrap_pad(x, 4, twist=twist, rows=rows)
        (first,) = torch.autograd.grad(padded.pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found[device] = [part.detach().cpu() for part in (padded, first, second)]
    for here, there in zip(found["cpu"], found["cuda"], strict=True):
        torch.testing.assert_close(here, there)


def test_energies_and_forces_of_the_published_network():
    structures = [timing_cell((5, 3), 1), timing_cell((7, 4), 1), timing_cell((10, 6), 1)]
    on_cpu = load_model(MODEL).energies_and_forces(structures)
    on_gpu = load_model(MODEL, "cuda").energies_and_forces(structures)
    for atoms, here, there in zip(structures, on_cpu[0], on_gpu[0], strict=True):
        torch.testing.assert_close(there / len(atoms), here / len(atoms), **ROUNDING)
    for here, there in zip(on_cpu[1], on_gpu[1], strict=True):
        torch.testing.assert_close(torch.from_numpy(there), torch.from_numpy(here), **FORCES_ROUNDING)


def test_the_engine_whole_and_streamed():
    atoms = timing_cell((40, 24), 1)
    reference = Engine(load_model(MODEL), "float64").energy(atoms) / len(atoms)
    for dtype, tolerance in (("float64", 1e-9), ("float32", 2e-6), ("bfloat16", 5e-3)):
        engine = Engine(load_model(MODEL, "cuda"), dtype, "cuda", block_px=64)
        assert engine.direct_energy(atoms) / len(atoms) == pytest.approx(reference, abs=tolerance, rel=0)
        streamed = stream_energy(engine, AtomsSource(atoms)).energy_eV
        assert streamed / len(atoms) == pytest.approx(reference, abs=tolerance, rel=0)


@pytest.mark.parametrize("turns", [0, 60])
def test_training_goes_the_same_way(tmp_path, turns):
    model = load_model(MODEL).config.to_dict() | {"tile_network": "convolutional", "blocks": 1, "dilations": None}
    model |= {"inner_widths": None, "width": 16, "stem": [[16, 4, 2]], "head": [16], "focus_px": 2}
    settings = {"samples": 48, "batch_size": 4, "optimizer": "muon", "learning_rate": 2e-3, "ema": 0.9}
    settings |= {"edge_charge_e": -0.3, "augmentation": {"transpose": False, "rotation_deg": turns}}
    structures = [sheet(i) for i in range(12)]
    curves = curves_on(("cpu", "cuda"), structures, "ednn", {**model, "training": settings}, tmp_path)
    assert curves["cuda"]["loss"].to_numpy() == pytest.approx(curves["cpu"]["loss"].to_numpy(), rel=0.02)
    assert curves["cpu"]["loss"].iloc[-1] < curves["cpu"]["loss"].iloc[0]


def test_convolutions_in_tf32_are_asked_for_and_not_kept():
    x = torch.randn(8, 64, 32, 32, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    weight = torch.randn(64, 64, 3, 3, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
    exact = torch.nn.functional.conv2d(x.double(), weight.double())

    def error() -> float:
        return float((torch.nn.functional.conv2d(x, weight) - exact).abs().max() / exact.abs().max())

    before = error()
    with cuda_convolutions("tf32"):
        within = error()
    assert before < 1e-5 < within < 1e-2
    assert error() == before
