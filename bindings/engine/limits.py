"""What this machine can do at most: the yardsticks that speeds are quoted against."""

from __future__ import annotations

from qwen3_chat.engine._core import MachineLimits
from qwen3_chat.engine._core import measure_limits as _measure
from qwen3_chat.engine.arguments import integer

__all__ = ["MachineLimits", "measure_limits"]


def measure_limits(threads: int) -> MachineLimits:
    """Measure streaming reads (bytes/s) and f32 arithmetic (flop/s) on this many threads. Takes about half a second.

    Reserves 512 MiB for a moment. Raises ConfigError (threads out of range), OutOfMemory.
    """
    return _measure(integer(threads, "threads", 1, 4096))
