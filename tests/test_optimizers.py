"""Muon: orthogonal steps, and the same ones whether matrices of a shape come together or alone."""

import pytest
import torch

from extensive.training.optimizers import Muon, orthogonalized


def matrices(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (32, 32)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    given = matrices(3, *shape) * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    found = orthogonalized(given)
    assert found.shape == given.shape
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    # In the basis of what was given it is diagonal, as far as rounding and small singular values let it.
    inner = left.mT @ found @ right.mT
    kept = values > 0.05 * values[:, :1]
    diagonal = inner.diagonal(dim1=1, dim2=2)
    assert bool(((diagonal[kept] > 0.6) & (diagonal[kept] < 1.3)).all())
    assert (inner - torch.diag_embed(diagonal)).abs().max() < 1e-3


def test_matrices_of_one_shape_step_as_they_would_alone():
    shapes = [(16, 3, 9), (16, 3, 9), (16, 16), (40,), (16, 3, 9), (1, 16)]
    together = [torch.nn.Parameter(matrices(*shape, seed=i)) for i, shape in enumerate(shapes)]
    alone = [torch.nn.Parameter(parameter.detach().clone()) for parameter in together]
    optimizers = [Muon(together, 0.01), *(Muon([parameter], 0.01) for parameter in alone)]
    for step in range(3):
        for i, (first, second) in enumerate(zip(together, alone, strict=True)):
            first.grad = matrices(*first.shape, seed=100 * step + i)
            second.grad = first.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for first, second, shape in zip(together, alone, shapes, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)
        assert not torch.equal(first, matrices(*shape))


def test_what_has_no_gradient_stays():
    moved, left = (torch.nn.Parameter(matrices(16, 16, seed=seed)) for seed in (0, 1))
    moved.grad = matrices(16, 16, seed=2)
    Muon([moved, left], 0.01).step()
    assert torch.equal(left, matrices(16, 16, seed=1))
    assert not torch.equal(moved, matrices(16, 16, seed=0))
