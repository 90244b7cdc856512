"""Numbers as people read them. Every value that is not known is a dash, never a guess."""

from __future__ import annotations

import time

UNKNOWN = "–"


def exact(count: int) -> str:
    """1204 -> '1 204' (no-break space, so that it never wraps)."""
    return f"{count:,}".replace(",", "\u00a0")


def short(count: int) -> str:
    """Three digits at most: 812, 3.1k, 32k, 1.2M."""
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if abs(count) >= unit:
            value = count / unit
            return f"{value:.1f}{suffix}" if abs(value) < 10 and count % unit else f"{value:.0f}{suffix}"
    return str(count)


def size(count: int) -> str:
    """Bytes in binary units: 812 B, 3.1 MiB."""
    value = float(count)
    for suffix in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or suffix == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {suffix}" if suffix == "B" or value >= 100 else f"{value:.1f} {suffix}"


def seconds(value: float | None) -> str:
    """38 ms below a second, else 2.1 s."""
    if value is None:
        return UNKNOWN
    return f"{value * 1e3:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def age(then: float, now: float) -> str:
    """How long ago that was, both in s since 1970: now, 5 min, 3 h, 2 d, and a date after a week."""
    passed = max(0.0, now - then)
    for limit, unit, name in ((3600, 60, "min"), (86_400, 3600, "h"), (7 * 86_400, 86_400, "d")):
        if passed < limit:
            return f"{passed // unit:.0f} {name}" if passed >= 60 else "now"
    return time.strftime("%Y-%m-%d", time.localtime(then))


def milliseconds(ns: float) -> str:
    """Nanoseconds in the unit that suits them: 85.0 µs, 0.42 ms, 12.3 ms."""
    if ns < 100_000:
        return f"{ns / 1e3:.1f} µs" if ns >= 1000 else f"{ns:.0f} ns"
    return f"{ns / 1e6:.2f} ms" if ns < 10e6 else f"{ns / 1e6:.1f} ms"


def rate(value: float | None) -> str:
    """Tokens per second: 4.12, 41.2, 412."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def percent(part: float, whole: float) -> str:
    """Share in whole per cent."""
    return f"{100 * part / whole:.0f}%" if whole else UNKNOWN


def meter(part: float, whole: float, cells: int) -> str:
    """A bar of `cells` characters, readable without colour: filled ones are █, free ones ·."""
    filled = min(cells, max(0, round(cells * part / whole))) if whole else 0
    if whole and part > 0 and filled == 0:
        return "▏" + "·" * (cells - 1)
    return "█" * filled + "·" * (cells - filled)


def sparkline(values: list[float], cells: int) -> str:
    """The last `cells` values as eight heights, scaled to the largest of them."""
    recent = values[-cells:] if len(values) > 1 and cells > 0 else []
    top = max(recent, default=0.0)
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * value / top))] if top else "▁" for value in recent)
