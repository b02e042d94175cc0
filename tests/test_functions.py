"""Own derivatives are the derivatives: first and second, against finite differences and against PyTorch's."""

import pytest
import torch
from torch.nn import functional as F

from extensive.images.oblique import twisted_index
from extensive.models import functions
from extensive.models.functions import silu, wrap_pad
from extensive.models.layers import PitchConv

WAYS = pytest.mark.parametrize("gathers", [(), ("cpu",)], ids=["pieces", "one gather"])
MARGINS = [(1, 1, 0), (2, 0, 0), (3, 2, 0), (9, 4, 0), (1, 1, 2), (2, 3, 5)]


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_silu_and_both_derivatives():
    x = random(40) * 4
    assert torch.autograd.gradcheck(silu, x)
    assert torch.autograd.gradgradcheck(silu, x)
    torch.testing.assert_close(silu(x), F.silu(x))


@WAYS
@pytest.mark.parametrize("margins", MARGINS)
def test_wrap_and_both_derivatives(margins, gathers, monkeypatch):
    monkeypatch.setattr(functions, "GATHERS", gathers)
    before, after, twist = margins
    x = random(2, 1, 6, 8)
    index = twisted_index((6, 8), twist, before, after, x.device)
    assert torch.equal(wrap_pad(x, before, after, twist), x.flatten(2)[..., index])
    assert torch.autograd.gradcheck(lambda x: wrap_pad(x, before, after, twist), x)
    assert torch.autograd.gradgradcheck(lambda x: wrap_pad(x, before, after, twist).square(), x)


@WAYS
def test_wrap_gives_chosen_rows_of_the_endless_image(gathers, monkeypatch):
    monkeypatch.setattr(functions, "GATHERS", gathers)
    x, rows = random(2, 1, 2, 7), (-4, -3, 0, 1, 4, 5)
    chosen = wrap_pad(x, 4, twist=3, rows=rows)
    assert torch.equal(chosen, wrap_pad(x, 4, twist=3)[..., [row + 4 for row in rows], :])
    assert torch.autograd.gradcheck(lambda x: wrap_pad(x, 4, twist=3, rows=rows), x)
    assert torch.autograd.gradgradcheck(lambda x: wrap_pad(x, 4, twist=3, rows=rows).square(), x)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5])
def test_a_dilated_layer_wraps_an_image_lower_than_its_taps_are_apart(height):
    layer = PitchConv(2, 3, 3, 1, pitch=False, dilation=4).double()
    x = random(1, 2, height, 11)
    found = layer(x, None, periodic=True, twist=5)
    torch.testing.assert_close(found, layer.conv(wrap_pad(x, 4, twist=5)))
