"""The rig itself: what is planted must be found, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from nvcc import ARCHITECTURES, ptx_of
from programs import ORDERS, run
from ptx.device import Device
from ptx.module import PtxError

BLOCKS, THREADS, TILES = 2, 128, 3
INPUTS = TILES * BLOCKS * THREADS + 8
FOLDER = Path(__file__).parent / "planted"
KERNELS = re.findall(r"X\((\w+)\)", (FOLDER / "planted.cuh").read_text().split("#define PLANTED_KERNELS")[1])

RUNS = [("", order) for order in ORDERS] + [("_address", "forward"), ("_thread", "forward")]
"""Which program (plain, under ASan and UBSan, under TSan), and the order of its threads."""

FINDERS = {
    "missing_barrier": {"forward", "reverse", "random", "_thread"},
    "missing_loop_end_barrier": {"forward", "reverse", "random", "_thread"},
    "cross_block_race": {"_thread"},
    "divergent_shuffle": {"forward", "reverse", "random", "_address", "_thread"},
    "divergent_barrier": {"forward", "reverse", "random", "_address", "_thread"},
    "missing_syncwarp": {"forward", "reverse", "random", "_thread"},
    "missing_async_wait": {"forward", "reverse", "random", "_address"},
    "shared_overrun": {"forward", "reverse", "random", "_address"},
    "misaligned_load": {"_address"},
}
"""What must find each bug over the emulator. Others may as well: a plain run may crash on a misaligned load. The
interpreter of PTX must find them all."""


def expected(kernel: str) -> np.ndarray:
    """What the kernel writes when it is right; its input is 0, 1, 2, ..."""
    index = np.arange(BLOCKS * THREADS)
    thread, base = index % THREADS, index - index % THREADS
    match kernel:
        case "missing_barrier":
            return base + (thread + 1) % THREADS
        case "missing_loop_end_barrier":
            tiles = np.arange(TILES)[:, None] * BLOCKS * THREADS
            return np.asarray((tiles + base + THREADS - 1 - thread).sum(axis=0))
        case "cross_block_race":
            return np.where(index == 0, THREADS, 0)
        case "divergent_shuffle":
            return np.where(index % 32 < 16, index + (index ^ 1), 0)
        case "missing_syncwarp":
            return index ^ 31
        case "missing_async_wait":
            return index % (BLOCKS * THREADS // 4) * 4 + index % 4
        case "misaligned_load":
            return index % (INPUTS // 4 - 1) * 16 + 6
        case "shared_overrun":
            return index ^ 1
        case "divergent_barrier":
            return index
    raise ValueError(kernel)


def finds(variant: str, order: str, kernel: str, version: str) -> str:
    """What the run complains of; nothing when it is content and the result is right."""
    result = run(f"planted{variant}", kernel, version, order=order)
    if result.returncode != 0:
        return result.stderr or f"exit code {result.returncode}"
    values = np.array(result.stdout.split(), dtype=float)
    return "" if np.array_equal(values, expected(kernel)) else "a wrong result"


def test_every_kernel_has_its_finders() -> None:
    assert set(KERNELS) == set(FINDERS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_right_kernel_passes_everywhere(kernel: str) -> None:
    for variant, order in RUNS:
        assert finds(variant, order, kernel, "clean") == ""


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_planted_bug_is_found(kernel: str) -> None:
    found = {variant or order for variant, order in RUNS if finds(variant, order, kernel, "bug")}
    assert found >= FINDERS[kernel]


def interpreted(architecture: str, kernel: str, version: str) -> str:
    """What the interpreter complains of when it runs what nvcc made of the kernel."""
    device = Device(ptx_of(FOLDER / "planted.cu", architecture))
    out = np.zeros(BLOCKS * THREADS, np.float32)
    address = device.put(out)
    template = "ILb1E" if version == "bug" else "ILb0E"
    try:
        device.launch([kernel, template], [BLOCKS], THREADS, [device.put(np.arange(INPUTS, dtype=np.float32)), address])
    except PtxError as error:
        return str(error)
    return "" if np.array_equal(device.get(address, out), expected(kernel)) else "a wrong result"


COMPLAINTS = {
    "missing_barrier": "race in shared memory",
    "missing_loop_end_barrier": "race in shared memory",
    "cross_block_race": "race between blocks",
    "divergent_shuffle": "are elsewhere",
    "divergent_barrier": "wait at two barriers",
    "missing_syncwarp": "race in shared memory",
    "missing_async_wait": "holds nothing yet",
    "shared_overrun": "out of bounds",
    "misaligned_load": "misaligned",
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_interpreter_finds_it_in_what_nvcc_made(kernel: str, architecture: str) -> None:
    assert interpreted(architecture, kernel, "clean") == ""
    assert COMPLAINTS[kernel] in interpreted(architecture, kernel, "bug")
