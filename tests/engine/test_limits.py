"""The yardsticks of `bench`: positive, and typed in what they refuse."""

from __future__ import annotations

import pytest

from qwen3_chat.engine import ConfigError, measure_limits


def test_limits_are_measured() -> None:
    limits = measure_limits(2)
    assert 1e8 < limits.read_bytes_per_s < 1e13
    assert 1e8 < limits.fp32_flop_per_s < 1e14


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_a_wrong_number_of_threads_is_named(threads: object) -> None:
    with pytest.raises(ConfigError, match="threads"):
        measure_limits(threads)  # type: ignore[arg-type]  # what the test is about
