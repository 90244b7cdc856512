"""The sequence by which a terminal tells the person that a reply is there, while they look elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

_LONGEST = 120  # characters; what is shown of a notification is short


def notification(title: str, body: str, environment: Mapping[str, str]) -> str:
    """OSC 777 for the terminals that know it (rxvt, foot, those of VTE), else OSC 9; through tmux, if need be.

    Terminals that know neither ignore both. Never the two of them: some terminals know both.
    """
    title, body = (_clean(text) for text in (title, body))
    terminal = environment.get("TERM", "")
    if terminal.startswith(("rxvt", "foot")) or environment.get("VTE_VERSION"):
        sequence = f"\x1b]777;notify;{title.replace(';', ',')};{body}\x1b\\"
    else:
        sequence = f"\x1b]9;{title}: {body}\x1b\\"
    if environment.get("TMUX"):  # which passes on what is wrapped so, if allow-passthrough is on
        escaped = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\"
    return sequence


def _clean(text: str) -> str:
    """One short line without control characters: it must not end the sequence."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
