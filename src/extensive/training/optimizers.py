"""The optimizers that a training may name: Adam, AdamW, and Muon for the weights of layers.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) makes every step of a weight matrix orthogonal:
all directions of a layer learn at one pace. Adam's steps are dominated by the few directions that all atoms share (an
energy offset, a mean bond length), and the network then waits for hundreds of steps before forces are learned at all.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from extensive.training.settings import TrainingSettings

# Devices for which PyTorch has the whole step of Adam in one kernel.
FUSED = ("cpu", "cuda")
# Coefficients of the quintic iteration that drives all singular values towards 1 (from the reference above).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Matrices with a smaller side than this are left to Adam: there is nothing to balance.
SMALLEST_SIDE = 8


def optimizer_of(parameters: Iterable[Tensor], settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer that `settings` name, of `parameters`, which lie on the device of the training."""
    parameters = list(parameters)
    if settings.optimizer == "muon":
        return Muon(parameters, settings.learning_rate)
    # One pass over the memory of all weights instead of seven: they are 8.5 million in the papers' network.
    fused = parameters[0].device.type in FUSED
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=fused)
    return torch.optim.Adam(parameters, settings.learning_rate, fused=fused)


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
            others, alike = [], defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if _is_matrix(parameter):
                    alike[parameter.shape].append(parameter)
                else:
                    others.append(parameter)
            for parameters in alike.values():
                self._orthogonal_step(parameters, group["lr"] * self.ratio)
            if others:
                self._adam_step(others, group["lr"])

    def _orthogonal_step(self, parameters: list[Tensor], rate: float) -> None:
        # Matrices of one shape at once: the iteration is many small products, which a GPU is slow to start.
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1.0 - self.momentum)
        directions = torch.stack(torch._foreach_lerp(gradients, momenta, self.momentum)).flatten(2)
        rows, columns = directions.shape[1:]
        steps = orthogonalized(directions).reshape(-1, *parameters[0].shape)
        torch._foreach_add_(parameters, list(steps), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def _adam_step(self, parameters: list[Tensor], rate: float) -> None:
        # All at once: they are many and small, and a step of each would cost more than what it computes.
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] |= {"step": torch.zeros(()), "mean": torch.zeros_like(parameter)}
                self.state[parameter]["square"] = torch.zeros_like(parameter)
        states, gradients = [self.state[parameter] for parameter in parameters], [p.grad for p in parameters]
        means, squares = [state["mean"] for state in states], [state["square"] for state in states]
        torch._foreach_add_([state["step"] for state in states], 1.0)
        count, (first, second) = float(states[0]["step"]), self.betas
        torch._foreach_lerp_(means, gradients, 1.0 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1.0 - second)
        spread = torch._foreach_sqrt(squares)
        torch._foreach_div_(spread, (1.0 - second**count) ** 0.5)
        torch._foreach_add_(spread, 1e-8)
        torch._foreach_addcdiv_(parameters, means, spread, value=-rate / (1.0 - first**count))


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_SIDE


def orthogonalized(matrices: Tensor) -> Tensor:
    """The nearest matrices to (k, n, m) `matrices` whose singular values are about 1 (between 0.7 and 1.2).

    Each iteration is X <- (a + b G + c G^2) X with G = X X^T, a polynomial in the first G: all of them are done on the
    square matrices, and the long side is met twice only.
    """
    a, b, c = QUINTIC
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-12)
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    gram = x @ x.mT
    whole = None
    for iteration in range(ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        whole = factor if whole is None else factor @ whole
        if iteration + 1 < ITERATIONS:
            gram = factor @ gram @ factor
    x = whole @ x
    return x.mT if tall else x
