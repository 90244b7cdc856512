"""Notices when a reply says the same again and again, as greedy decoding is prone to."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["loop_period"]

LONGEST = 64  # tokens of one round
ROUNDS = 4  # of the same, before it counts as a loop
SHORTEST = 48  # tokens that must repeat: lists, tables and rows of numbers repeat a little, too


def loop_period(ids: Sequence[int]) -> int | None:
    """Tokens of one round if the sequence ends in a loop, else None. Cheap: it looks at the last few hundred ids."""
    for period in range(1, min(LONGEST, len(ids) // 2) + 1):
        repeated = max((ROUNDS - 1) * period, SHORTEST)
        if len(ids) >= repeated + period and ids[-repeated:] == ids[-repeated - period : -period]:
            return period
    return None
