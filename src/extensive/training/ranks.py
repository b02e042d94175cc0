"""Training on several GPUs: every rank takes its share of each step's structures, and gradients are summed.

The loss of a step is a mean over the structures of the whole batch, whichever rank has them, so the number of ranks
changes neither the loss nor the weights, up to the rounding of sums. Gradients are summed here rather than by
DistributedDataParallel, which does not allow the derivative in the derivative that forces need.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """One process among all that train the same network."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> "Ranks":
        """The ranks that torchrun started, or this process alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(distributed.get_rank(), size)

    @property
    def first(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The GPU of this rank alone, where GPUs are used."""
        if self.size == 1 or device.type != "cuda":
            return device
        local = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(local)
        return local

    def sum_gradients(self, parameters: Iterable[Tensor], loss: Tensor) -> Tensor:
        """Sum gradients over ranks in place; returns the sum of `loss` (). A rank without structures adds zero."""
        if self.size == 1:
            return loss
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        # One message instead of one for each layer.
        flat = torch.cat(
            [*(parameter.grad.flatten() for parameter in parameters), loss.to(parameters[0].dtype).view(1)]
        )
        distributed.all_reduce(flat)
        start = 0
        for parameter in parameters:
            parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()
        return flat[-1]

    def leave(self) -> None:
        """Wait for the others, then end the connection."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()
