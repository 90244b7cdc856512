"""Who else kept the processors busy."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["busy_cpu_s"]

# Of /proc/stat's first line: user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user and nice.
BUSY = (0, 1, 2, 5, 6, 7)


def busy_cpu_s() -> float:
    """Processor seconds since the machine started, over all cores, that some process or another guest had."""
    ticks = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    return sum(int(ticks[field]) for field in BUSY) / os.sysconf("SC_CLK_TCK")
