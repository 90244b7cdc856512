"""Every CUDA kernel over the emulator, against plain loops: threads in three orders, then every access and every race.

The full tier adds long shapes (the programs see QWEN3_TEST_FULL), and the other orders under the sanitizers.
"""

from __future__ import annotations

import pytest
from programs import ORDERS, run


def check(name: str, order: str) -> None:
    result = run(name, order=order)
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}{result.stderr}"


def mostly_full(chosen: str) -> list[object]:
    """All orders, but only one of them outside of the full tier."""
    return [order if order == chosen else pytest.param(order, marks=pytest.mark.full) for order in ORDERS]


@pytest.mark.parametrize("order", ORDERS)
def test_plain(order: str) -> None:
    check("cuda_kernels_test", order)


@pytest.mark.parametrize("order", mostly_full("forward"))
def test_memory_and_undefined_behaviour(order: str) -> None:
    check("cuda_kernels_test_address", order)


@pytest.mark.parametrize("order", mostly_full("reverse"))
def test_races(order: str) -> None:
    check("cuda_kernels_test_thread", order)
