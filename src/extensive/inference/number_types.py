"""Which number type an engine computes in: `auto` is the fastest whose rounding is small beside the network's error.

That bfloat16 rounds little is no property of a network but of its weights, so it is measured on validation structures
and lies beside them, `<model>-rounding.json` (see `extensive.inference.rounding`). Without that, `auto` is float32.
"""

import torch

from extensive.errors import InputError
from extensive.inference.network import DTYPES
from extensive.models import Potential

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"
NAMES = (AUTO, *DTYPES)
# Of the network's own error: what rounding may add. Independent of the error, a fifth makes it 2 % larger.
LARGEST_SHARE = 0.2


def native_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether a device multiplies bfloat16 numbers itself; others do it many times slower than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if hasattr(torch.cpu, "get_capabilities"):  # not in older PyTorch, which knows x86 only
        found = torch.cpu.get_capabilities()
        return any(bool(found.get(name)) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported())


def rounds_little(potential: Potential) -> tuple[bool, str]:
    """Whether bfloat16 rounds a model's energies by a fifth of its error at most, and how that is known."""
    found = potential.rounding
    if found is None or not found["structures"]:
        return False, "what bfloat16 rounds has not been measured on these weights"
    rounding, error = found["bfloat16_mean_meV_per_atom"], found["error_meV_per_atom"]
    said = f"bfloat16 rounds by {rounding:.2g} meV/atom where the error is {error:.2g}"
    return rounding <= LARGEST_SHARE * error, said


def choose(dtype: str, potential: Potential, device: str | torch.device = "cpu") -> tuple[str, str]:
    """The number type that `dtype` means for a model on a device, and why; InputError for an unknown one.

    `auto` is bfloat16 where the device has it and it rounds little, else float32.
    """
    if dtype not in NAMES:
        raise InputError(f"dtype: {dtype!r}; it must be one of {', '.join(NAMES)}")
    if dtype != AUTO:
        return dtype, "as asked for"
    if not native_bfloat16(device):
        return FLOAT32, f"this {'GPU' if torch.device(device).type == 'cuda' else 'processor'} has no bfloat16"
    little, why = rounds_little(potential)
    return BFLOAT16 if little else FLOAT32, why


def chosen(dtypes: list[str], potential: Potential, device: str | torch.device = "cpu") -> list[str]:
    """The number types that these mean, each once, in their order."""
    return list(dict.fromkeys(choose(dtype, potential, device)[0] for dtype in dtypes))
