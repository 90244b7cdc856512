"""The yardsticks of `bench`: positive, and typed in what they refuse."""

from __future__ import annotations

import pytest

from qwen3_chat.engine import ConfigError, measure_limits, measure_reads


def test_limits_are_measured() -> None:
    limits = measure_limits(2)
    assert 1e8 < limits.read_bytes_per_s < 1e13
    assert 1e8 < limits.fp32_flop_per_s < 1e14


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_a_wrong_number_of_threads_is_named(threads: object) -> None:
    with pytest.raises(ConfigError, match="threads"):
        measure_limits(threads)  # type: ignore[arg-type]  # what the test is about


def test_reads_alone_are_as_fast_and_stop_when_told() -> None:
    speed = measure_reads(2, lambda: True)
    assert speed is not None
    assert 1e8 < speed < 1e13
    for allowed in (0, 3, 13):  # at once; while memory is written; after the last reading
        answers = iter([True] * allowed)
        assert measure_reads(1, lambda answers=answers: next(answers, False)) is None


def test_what_asking_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        measure_reads(1, lambda: bool(1 // 0))
