"""Processor, memory, GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qwen3_chat.app.chat.memory import available_bytes
from qwen3_chat.app.doctor.finding import Finding, good, note, wrong

__all__ = ["machine"]

_LITTLE = 512 << 20  # bytes: less leaves no room for a model


def machine(
    proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup"), dev: Path = Path("/dev")
) -> Iterator[Finding]:
    """What the engine will find."""
    yield _processor(proc, cgroup)
    yield _memory(proc, cgroup)
    yield _gpu(proc, dev)


def _processor(proc: Path, cgroup: Path) -> Finding:
    names = [line.partition(":")[2].strip() for line in _lines(proc / "cpuinfo") if line.startswith("model name")]
    allowed, all_of_them = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    of = f" of {all_of_them}" if allowed != all_of_them else ""
    what = f"{names[0] if names else 'unknown'}; {allowed}{of} logical cores"
    quota, _, period = next(iter(_lines(cgroup / "cpu.max")), "max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(quota) < allowed * int(period):
        share = int(quota) / int(period)
        return note("processor", f"{what}, of which the container gets {share:g}", f"--threads {max(1, int(share))}")
    return good("processor", what)


def _memory(proc: Path, cgroup: Path) -> Finding:
    total = next((int(line.split()[1]) << 10 for line in _lines(proc / "meminfo") if line.startswith("MemTotal")), None)
    free = available_bytes(proc, cgroup)
    if free is None:
        return note("memory", "how much is free is not known", "--context and --weights keep a load small")
    what = f"{_gib(free)} GiB free" + (f" of {_gib(total)} GiB" if total is not None else "")
    limit = next(iter(_lines(cgroup / "memory.max")), "max")
    if limit.isdigit():
        what += f", the container's limit is {_gib(int(limit))} GiB"
    if free < _LITTLE:
        return wrong("memory", what, "close other programs, or raise the container's limit")
    return good("memory", what)


def _gpu(proc: Path, dev: Path) -> Finding:
    devices = sorted(path.name for path in dev.glob("nvidia[0-9]*"))
    driver = next(iter(_lines(proc / "driver/nvidia/version")), "")
    if not devices and not driver:
        return note("gpu", "no NVIDIA driver; the processor is used")
    version = next((word for word in driver.split() if word[:1].isdigit() and "." in word), "unknown")
    if not devices:
        return note("gpu", f"NVIDIA driver {version}, and no device", "give the container its GPUs, as with --gpus all")
    return good("gpu", f"NVIDIA driver {version}, {', '.join(devices)}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _gib(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f}"
