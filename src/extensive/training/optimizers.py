"""Muon for the weights of layers, Adam for everything else.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) makes every step of a weight matrix orthogonal:
all directions of a layer learn at one pace. Adam's steps are dominated by the few directions that all atoms share (an
energy offset, a mean bond length), and the network then waits for hundreds of steps before forces are learned at all.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

# Coefficients of the quintic iteration that drives all singular values towards 1 (from the reference above).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Matrices with a smaller side than this are left to Adam: there is nothing to balance.
SMALLEST_SIDE = 8


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for kernels and matrices; Adam for biases, small matrices and single outputs.

    `lr` is Adam's rate; matrices move by `ratio` times as much, in units of their orthogonal step.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        ratio: float = 10.0,
        betas: tuple[float, float] = (0.9, 0.99),
    ):
        super().__init__(list(parameters), {"lr": lr})
        self.momentum, self.ratio, self.betas = momentum, ratio, betas

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if _is_matrix(parameter):
                    self._orthogonal_step(parameter, group["lr"] * self.ratio)
                else:
                    self._adam_step(parameter, group["lr"])

    def _orthogonal_step(self, parameter: Tensor, rate: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1.0 - self.momentum)
        direction = parameter.grad.lerp(state["momentum"], self.momentum).flatten(1)
        rows, columns = direction.shape
        step = orthogonalized(direction).view_as(parameter)
        parameter.add_(step, alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def _adam_step(self, parameter: Tensor, rate: float) -> None:
        state = self.state[parameter]
        if not state:
            state |= {"step": torch.zeros(()), "mean": torch.zeros_like(parameter)}
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        first, second = self.betas
        state["mean"].lerp_(parameter.grad, 1.0 - first)
        state["square"].lerp_(parameter.grad.square(), 1.0 - second)
        count = float(state["step"])
        mean, square = state["mean"] / (1.0 - first**count), state["square"] / (1.0 - second**count)
        parameter.add_(mean / (square.sqrt() + 1e-8), alpha=-rate)


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_SIDE


def orthogonalized(matrix: Tensor) -> Tensor:
    """The nearest matrix to (n, m) `matrix` whose singular values are about 1 (between 0.7 and 1.2), same shape."""
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-12)
    if wide := x.shape[0] > x.shape[1]:
        x = x.T
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if wide else x
