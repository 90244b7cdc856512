"""A reply that goes round in a circle is noticed, and one that only repeats a little is not."""

from __future__ import annotations

import random

import pytest

from qwen3_chat.app.chat.loops import LONGEST, ROUNDS, SHORTEST, loop_period


@pytest.mark.parametrize("period", [1, 2, 7, 30, LONGEST])
def test_a_loop_is_noticed_whatever_came_before(period: int) -> None:
    draw = random.Random(period)
    circle = [draw.randrange(1000) for _ in range(period)]
    rounds = max(ROUNDS, SHORTEST // period + 2)
    ids = [draw.randrange(1000) for _ in range(100)] + circle * rounds
    found = loop_period(ids)
    assert found is not None
    assert period % found == 0


def test_it_is_noticed_as_soon_as_there_are_enough_rounds() -> None:
    circle = list(range(20))
    assert loop_period(circle * ROUNDS) == 20
    assert loop_period((circle * ROUNDS)[:-1]) is None


def test_what_is_over_is_no_loop() -> None:
    assert loop_period([1, 2, 3] * 50 + [4]) is None


@pytest.mark.parametrize(
    "ids", [[], [1], [1] * (SHORTEST - 1), [1, 2] * 20, list(range(500)), [*range(100), *range(100), *range(100)]]
)
def test_a_little_repetition_is_no_loop(ids: list[int]) -> None:
    assert loop_period(ids) is None
