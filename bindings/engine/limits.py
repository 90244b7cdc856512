"""What this machine can do at most: the yardsticks that speeds are quoted against."""

from __future__ import annotations

from collections.abc import Callable

from qwen3_chat.engine import _core
from qwen3_chat.engine._core import MachineLimits
from qwen3_chat.engine.arguments import integer

__all__ = ["MachineLimits", "measure_limits", "measure_reads"]


def measure_limits(threads: int) -> MachineLimits:
    """Measure streaming reads (bytes/s) and f32 arithmetic (flop/s) on this many threads. Takes about half a second.

    Reserves 512 MiB for a moment. Raises ConfigError (threads out of range), OutOfMemory.
    """
    return _core.measure_limits(integer(threads, "threads", 1, 4096))


def measure_reads(threads: int, go_on: Callable[[], bool]) -> float | None:
    """Measure streaming reads (bytes/s) alone, for whoever must not be in the way. Takes about a quarter of a second.

    Asks `go_on` every few hundredths of a second; None once that has said no. Reserves 256 MiB for a moment. Raises
    ConfigError (threads out of range), OutOfMemory.
    """
    return _core.measure_reads(integer(threads, "threads", 1, 4096), go_on)
