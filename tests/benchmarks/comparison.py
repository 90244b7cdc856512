"""What interleaved rounds say: speeds of every contestant, and ratios between neighbours in time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Comparison", "Spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the smallest and largest value beside it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tokens a second of one kind of run: for every contestant one value a round, in the order of the rounds."""

    speeds: dict[str, list[float]]

    def spread(self, name: str) -> Spread:
        return Spread.of(self.speeds[name])

    def ratio(self, name: str, other: str) -> Spread:
        """`name` over `other`. Divided round by round, so that what slows the machine for a while cancels out."""
        return Spread.of([a / b for a, b in zip(self.speeds[name], self.speeds[other], strict=True)])

    def best(self, names: Sequence[str]) -> str | None:
        """The quickest of these by its median; None of none."""
        return max(names, key=lambda name: self.spread(name).median, default=None)
