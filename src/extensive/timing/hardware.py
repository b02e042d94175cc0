"""What the timings were taken on: processor, memory, accelerator, versions, threads."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

FLAGS_THAT_MATTER = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def _cpuinfo(key: str) -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Cores that this process may use, which on a cluster is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware_label(device: str = "cpu") -> str:
    """A short name for the CSV column: the GPU's name, or processor model and number of usable cores."""
    if device != "cpu":
        return _torch()["gpu"] or device
    model = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{model} ({usable_cores()} cores)".replace(",", " ")


def _torch() -> dict[str, Any]:
    """What torch says of itself and its devices; empty where it is not installed, as beside GPAW on a
    cluster.
    """
    try:
        import torch
    except ImportError:
        return {}
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "cuda": torch.version.cuda if gpu else None,
    }


def hardware_record(with_torch: bool = True) -> dict[str, Any]:
    """Everything that a timing depends on and that can be read here, as JSON-able values."""
    try:
        memory_GiB = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        memory_GiB = None
    flags = (_cpuinfo("flags") or "").split()
    return {
        "cpu_model": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cpu_family_model": f"{_cpuinfo('cpu family')}/{_cpuinfo('model')}",
        "cpu_flags": [flag for flag in FLAGS_THAT_MATTER if flag in flags],
        "cores": usable_cores(),
        "memory_GiB": memory_GiB,
        "load_average": round(os.getloadavg()[0], 2),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "ase": _version("ase"),
        "gpaw": _version("gpaw"),
        "platform": f"{platform.system()} {platform.machine()}",
        **(_torch() if with_torch else {}),
    }
