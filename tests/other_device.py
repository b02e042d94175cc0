"""A stand-in for a GPU: tensors that compute on the CPU but say that they lie elsewhere.

An operation that mixes them with tensors of the CPU raises, as it does on a GPU, and numbers come out as on the CPU.
What this cannot show is arithmetic, speed and memory of a real one: tests/test_gpu.py does.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

# A device without a driver, memory or kernels of its own, in every build of PyTorch.
NAME = "meta"
aten = torch.ops.aten
# What takes tensors of two devices on a GPU as well: copies, and tensors there by indices from here.
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class _Elsewhere(torch.Tensor):
    """A tensor that says it lies on the device NAME, and holds its values on the CPU."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> "_Elsewhere":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=NAME,
        )

    def __init__(self, values: torch.Tensor):
        self.values = values

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_iter(tree) if isinstance(leaf, torch.Tensor))


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = list(_tensors((args, kwargs)))
    elsewhere = any(isinstance(tensor, _Elsewhere) for tensor in given)
    compared = _tensors((args[0], args[2:])) if func in INDEXED and isinstance(args[0], _Elsewhere) else given
    # A single number of the CPU may stand next to tensors of any device.
    here = [tensor for tensor in compared if tensor.ndim and not isinstance(tensor, _Elsewhere)]
    if elsewhere and here and func not in COPIES:
        raise RuntimeError(f"{func}: tensors of the CPU, {[tuple(t.shape) for t in here]}, and of another device")
    if kwargs.get("device") is not None:
        elsewhere = torch.device(kwargs["device"]).type == NAME
        kwargs = kwargs | {"device": torch.device("cpu")}
    elif func is aten.copy_.default:
        elsewhere = isinstance(args[0], _Elsewhere)
    plain = tree_map(lambda leaf: leaf.values if isinstance(leaf, _Elsewhere) else leaf, (args, kwargs))
    result = func(*plain[0], **plain[1])
    if not any(isinstance(tensor, _Elsewhere) == elsewhere for tensor in given):
        # From one device to the other: never the same memory.
        result = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, result)
        return _Elsewhere(result) if elsewhere else result
    if not elsewhere:
        return result
    result = tree_map(lambda leaf: _Elsewhere(leaf) if isinstance(leaf, torch.Tensor) else leaf, result)
    return return_and_correct_aliasing(func, args, kwargs, result)


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _FromLists(TorchFunctionMode):
    """What is made of numbers in Python is moved in sight of the operations: PyTorch makes none of them on NAME."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist and isinstance(args[0], _Elsewhere):
            return args[0].values.tolist()
        if func is torch.Tensor.new_tensor and isinstance(args[0], _Elsewhere):
            return torch.tensor(args[1], **{"dtype": args[0].dtype} | kwargs).to(NAME)
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == NAME:
            return func(*args, **kwargs | {"device": "cpu"}).to(NAME)
        return func(*args, **kwargs)


@contextlib.contextmanager
def other_device() -> Iterator[None]:
    """Within it there is a device NAME to compute on."""
    # Tensors made in inference mode cannot be wrapped; without gradients the numbers are the same.
    with _Operations(), _FromLists(), mock.patch.object(torch, "inference_mode", _without_gradients):
        yield


def _without_gradients(mode: bool = True) -> contextlib.AbstractContextManager[None]:
    return torch.no_grad() if mode else contextlib.nullcontext()
