"""Every CUDA kernel over the emulator, against plain loops: threads in three orders, then every access and every race.

QWEN3_TEST_FULL=1 adds long shapes, and the other orders under the sanitizers.
"""

from __future__ import annotations

import os

import pytest
from programs import ORDERS, run

FULL = bool(os.environ.get("QWEN3_TEST_FULL"))


def check(name: str, order: str) -> None:
    result = run(name, order=order)
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize("order", ORDERS)
def test_plain(order: str) -> None:
    check("cuda_kernels_test", order)


@pytest.mark.parametrize("order", ORDERS if FULL else ORDERS[:1])
def test_memory_and_undefined_behaviour(order: str) -> None:
    check("cuda_kernels_test_address", order)


@pytest.mark.parametrize("order", ORDERS if FULL else ORDERS[1:2])
def test_races(order: str) -> None:
    check("cuda_kernels_test_thread", order)
