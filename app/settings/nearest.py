"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["meant", "nearest"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like it; None if none does."""
    from difflib import get_close_matches  # only a mistake needs it

    spelled = {other.lower().replace("_", "-"): other for other in known}
    close = get_close_matches(name.lower().replace("_", "-"), spelled, n=1)
    return spelled[close[0]] if close else None


def meant(name: str, known: Iterable[str]) -> str:
    """` (did you mean "top-p"?)`, or nothing if no known name is near."""
    close = nearest(name, known)
    return f' (did you mean "{close}"?)' if close else ""
