"""The rig itself: what is planted must be found, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from programs import ORDERS, run

BLOCKS, THREADS, TILES = 2, 128, 3
SOURCE = (Path(__file__).parent / "planted" / "planted.cuh").read_text()
KERNELS = re.findall(r"X\((\w+)\)", SOURCE.split("#define PLANTED_KERNELS")[1])

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
"""What must find each bug. Others may as well: a plain run may crash on a misaligned load, for instance."""


def expected(kernel: str) -> np.ndarray:
    """What the kernel writes when it is right; its input is 0, 1, 2, ..."""
    index = np.arange(BLOCKS * THREADS)
    thread, base = index % THREADS, index - index % THREADS
    match kernel:
        case "missing_barrier":
            return base + (thread + 1) % THREADS
        case "missing_loop_end_barrier":
            return sum(tile * BLOCKS * THREADS + base + THREADS - 1 - thread for tile in range(TILES))
        case "cross_block_race":
            return np.where(index == 0, THREADS, 0)
        case "divergent_shuffle":
            return np.where(index % 32 < 16, index + (index ^ 1), 0)
        case "missing_syncwarp":
            return index ^ 31
        case "missing_async_wait":
            return index % (BLOCKS * THREADS // 4) * 4 + index % 4
        case "misaligned_load":
            return index % ((TILES * BLOCKS * THREADS + 8) // 4 - 1) * 4
        case "divergent_barrier" | "shared_overrun":
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
