"""The arithmetic between the measured times and the printed result."""

from __future__ import annotations

import pytest
from comparison import Comparison, Spread

# The machine halves its speed in the second round, and everybody's with it.
SPEEDS = {"ours": [30.0, 15.0, 33.0], "fast": [20.0, 10.0, 20.0], "slow": [5.0, 3.0, 6.0]}


def test_spread_is_median_and_extremes() -> None:
    assert Comparison(SPEEDS).spread("ours") == Spread(median=30.0, low=15.0, high=33.0)


def test_ratios_are_taken_within_rounds() -> None:
    """A slow round changes every speed but no ratio: of medians over medians, the lowest would be 15 / 20."""
    assert Comparison(SPEEDS).ratio("ours", "fast") == Spread(median=1.5, low=1.5, high=1.65)


def test_best_is_the_highest_median_among_the_named() -> None:
    comparison = Comparison(SPEEDS)
    assert comparison.best(["slow", "fast"]) == "fast"
    assert comparison.best(["slow"]) == "slow"
    assert comparison.best([]) is None


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Comparison({"ours": [1.0, 2.0], "peer": [1.0]}).ratio("ours", "peer")
