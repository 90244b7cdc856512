"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "good", "note", "wrong"]

State = Literal["ok", "note", "wrong"]  # wrong: something will not work


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy`: what to do about it; there is one for whatever is wrong."""

    name: str
    state: State
    what: str
    remedy: str = ""


def good(name: str, what: str) -> Finding:
    """As it should be."""
    return Finding(name, "ok", what)


def note(name: str, what: str, remedy: str = "") -> Finding:
    """Worth knowing; nothing fails for it."""
    return Finding(name, "note", what, remedy)


def wrong(name: str, what: str, remedy: str) -> Finding:
    """Something will not work."""
    return Finding(name, "wrong", what, remedy)
