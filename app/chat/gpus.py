"""NVIDIA GPUs as their driver describes them: through NVML, which nvidia-ml-py of the extra [cuda] wraps."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Gpu", "free_bytes", "visible_gpus"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU that this process may use."""

    name: str
    driver: str  # its version
    free: int  # bytes
    total: int


def visible_gpus() -> list[Gpu]:
    """The GPUs that CUDA would see, in the driver's order. Empty where there are none or nobody can tell."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        driver = pynvml.nvmlSystemGetDriverVersion()
        found = []
        for index, handle in enumerate(handles):
            if _is_visible(index, pynvml.nvmlDeviceGetUUID(handle)):
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                found.append(Gpu(pynvml.nvmlDeviceGetName(handle), driver, int(memory.free), int(memory.total)))
        return found
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def free_bytes(devices: int) -> int | None:
    """What so many GPUs that share a model evenly can hold together. None: nobody can tell.

    The driver's order need not be CUDA's, so the fullest GPU stands for all.
    """
    gpus = visible_gpus()
    return devices * min(gpu.free for gpu in gpus) if gpus else None


def _is_visible(index: int, uuid: str) -> bool:
    """Whether CUDA_VISIBLE_DEVICES names it, by number or by the beginning of its UUID."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return True
    return any(name == str(index) or (name and uuid.startswith(name)) for name in map(str.strip, named.split(",")))
