"""SiLU and periodic padding with derivatives of their own, for training on forces.

Forces are derivatives, and training differentiates them again. What PyTorch derives for these two by itself is right
but passes over memory several times as often: a fourth of a training step went there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from extensive.oblique import twisted_index


class _Silu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.nn.functional.silu(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return _SiluGradient.apply(grad, x)


class _SiluGradient(Function):
    """(g, x) -> g f'(x), f(x) = x s(x), s the logistic function."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(grad, x)
        return torch.ops.aten.silu_backward(grad, x)

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, Tensor | None]:
        grad, x = ctx.saved_tensors
        first = torch.ops.aten.silu_backward(upper, x) if ctx.needs_input_grad[0] else None
        second = None
        if ctx.needs_input_grad[1]:
            # f''(x) = s (1 - s) (2 + x (1 - 2 s)) = s (1 - s) (2 + x - 2 f)
            s = torch.sigmoid(x)
            second = torch.addcmul(x + 2.0, x, s, value=-2.0).mul_(torch.addcmul(s, s, s, value=-1.0))
            second.mul_(upper).mul_(grad)
        return first, second


def silu(x: Tensor) -> Tensor:
    """X / (1 + exp(-x)), elementwise; differentiable twice."""
    return _Silu.apply(x)


class _Wrap(Function):
    """Periodic padding of the last two axes; its derivative folds the margins back onto where they came from."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: int, after: int, twist: int) -> Tensor:
        ctx.shape, ctx.margins = tuple(x.shape[-2:]), (before, after, twist)
        if twist or max(before, after) > min(ctx.shape):
            index = twisted_index(ctx.shape, twist, before, after, x.device)
            return x.flatten(-2).index_select(-1, index.flatten()).unflatten(-1, index.shape)
        for dim in (-2, -1):
            n = x.shape[dim]
            parts = [x.narrow(dim, n - before, before), x, x.narrow(dim, 0, after)]
            x = torch.cat([part for part in parts if part.shape[dim]], dim=dim)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _Fold.apply(grad, ctx.shape, *ctx.margins), None, None, None


class _Fold(Function):
    """The transpose of `_Wrap`: (..., H + before + after, W + before + after) -> (..., H, W)."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, shape: tuple[int, int], before: int, after: int, twist: int) -> Tensor:
        ctx.margins = before, after, twist
        if twist or max(before, after) > min(shape):
            index = twisted_index(shape, twist, before, after, padded.device)
            folded = padded.new_zeros(*padded.shape[:-2], shape[0] * shape[1])
            return folded.index_add_(-1, index.flatten(), padded.flatten(-2)).unflatten(-1, shape)
        for dim, n in zip((-2, -1), shape, strict=True):
            core = padded.narrow(dim, before, n).clone(memory_format=torch.contiguous_format)
            core.narrow(dim, n - before, before).add_(padded.narrow(dim, 0, before))
            core.narrow(dim, 0, after).add_(padded.narrow(dim, before + n, after))
            padded = core
        return padded

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Wrap.apply(grad, *ctx.margins), None, None, None, None


def wrap_pad(image: Tensor, before: int, after: int | None = None, twist: int = 0) -> Tensor:
    """Periodic padding of the last two axes: (..., H, W) -> (..., H + before + after, W + before + after).

    Any width is right, also one wider than the image. `after` is `before` unless given. With a `twist`, the top and
    bottom are joined that many columns off: see `extensive.oblique.Torus`. Differentiable twice.
    """
    return _Wrap.apply(image, before, before if after is None else after, twist)
