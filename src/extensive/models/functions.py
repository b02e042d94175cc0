"""SiLU and periodic padding with derivatives of their own, for training on forces.

Forces are derivatives, and training differentiates them again. What PyTorch derives for these two by itself is right
but passes over memory several times as often: a fourth of a training step went there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from extensive.images.oblique import twisted_index

# Devices that pad small images by one gather of pixels: a GPU waits longer for each of several copies than it copies.
GATHERS = ("cuda",)
# Pixels of a padded image up to which it is worth its table of indices.
GATHERED_PX = 1 << 16

# float32 is float32 on a GPU too: for convolutions PyTorch's default there is TF32, whose 10 bits show in energies.
torch.backends.cudnn.conv.fp32_precision = "ieee"


@contextlib.contextmanager
def cuda_convolutions(precision: str) -> Iterator[None]:
    """Convolutions of float32 on a GPU are in 'tf32' or 'ieee' arithmetic; nothing changes on a CPU."""
    before = torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = precision
    try:
        yield
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


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


def _blocks(rows: Sequence[int], height: int) -> Iterator[tuple[int, int, int]]:
    """Runs of neighbouring `rows` of an endless image, as (number of the period, first row in it, rows)."""
    first = previous = rows[0]
    for row in (*rows[1:], None):
        if row is None or row != previous + 1 or row % height == 0:
            yield first // height, first % height, previous - first + 1
            first = row
        previous = row


def _gather_index(
    shape: tuple[int, int], before: int, after: int, twist: int, rows: tuple[int, ...] | None, device: torch.device
) -> Tensor | None:
    """Where the pixels of a padded image come from; None where it is padded piece by piece."""
    height = len(rows) if rows else shape[0] + before + after
    if device.type not in GATHERS or height * (shape[1] + before + after) > GATHERED_PX:
        return None
    return twisted_index(shape, twist, before, after, device, rows)


class _Wrap(Function):
    """Periodic padding of the last two axes; its derivative folds the margins back onto where they came from."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, before: int, after: int, twist: int, rows: tuple[int, ...] | None = None
    ) -> Tensor:
        ctx.shape, ctx.margins = tuple(x.shape[-2:]), (before, after, twist, rows)
        height, width = ctx.shape
        index = _gather_index(ctx.shape, *ctx.margins, x.device)
        if index is not None:
            return x.flatten(-2).index_select(-1, index.view(-1)).unflatten(-1, index.shape)
        if rows or twist or max(before, after) > min(ctx.shape):
            # Whole pieces of rows are copied, out of an image repeated along x.
            repeated = torch.cat([x] * -(-(2 * width + before + after) // width), dim=-1)
            parts = [
                repeated.narrow(-2, row, n).narrow(-1, (-turns * twist - before) % width, width + before + after)
                for turns, row, n in _blocks(rows or range(-before, height + after), height)
            ]
            return torch.cat(parts, dim=-2)
        for dim in (-2, -1):
            n = x.shape[dim]
            parts = [x.narrow(dim, n - before, before), x, x.narrow(dim, 0, after)]
            x = torch.cat([part for part in parts if part.shape[dim]], dim=dim)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Fold.apply(grad, ctx.shape, *ctx.margins), None, None, None, None


class _Fold(Function):
    """The transpose of `_Wrap`: (..., H + before + after, W + before + after) -> (..., H, W)."""

    @staticmethod
    def forward(
        ctx: Any,
        padded: Tensor,
        shape: tuple[int, int],
        before: int,
        after: int,
        twist: int,
        rows: tuple[int, ...] | None,
    ) -> Tensor:
        ctx.margins = before, after, twist, rows
        height, width = shape
        index = _gather_index(shape, *ctx.margins, padded.device)
        if index is not None:
            folded = padded.new_zeros(*padded.shape[:-2], height * width)
            return folded.index_add_(-1, index.view(-1), padded.flatten(-2)).unflatten(-1, shape)
        if rows or twist or max(before, after) > min(shape):
            copies = -(-(2 * width + before + after) // width)
            repeated = padded.new_zeros(*padded.shape[:-2], height, copies * width)
            top = 0
            for turns, row, n in _blocks(rows or range(-before, height + after), height):
                start = (-turns * twist - before) % width
                piece = repeated.narrow(-2, row, n).narrow(-1, start, width + before + after)
                piece.add_(padded.narrow(-2, top, n))
                top += n
            return repeated.unflatten(-1, (copies, width)).sum(-2)
        for dim, n in zip((-2, -1), shape, strict=True):
            core = padded.narrow(dim, before, n).clone(memory_format=torch.contiguous_format)
            core.narrow(dim, n - before, before).add_(padded.narrow(dim, 0, before))
            core.narrow(dim, 0, after).add_(padded.narrow(dim, before + n, after))
            padded = core
        return padded

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        return _Wrap.apply(grad, *ctx.margins), None, None, None, None, None


def wrap_pad(
    image: Tensor, before: int, after: int | None = None, twist: int = 0, rows: tuple[int, ...] | None = None
) -> Tensor:
    """Periodic padding of the last two axes: (..., H, W) -> (..., H + before + after, W + before + after).

    Any width is right, also one wider than the image. `after` is `before` unless given. With a `twist`, the top and
    bottom are joined that many columns off: see `images.oblique.Torus`. `rows` chooses some of the endless image's
    rows, which begin at -before. Differentiable twice.
    """
    return _Wrap.apply(image, before, before if after is None else after, twist, rows)
