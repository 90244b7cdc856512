"""What the terminal says of itself, in the environment and in its terminfo entry."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

from qwen3_chat.app.doctor.finding import Finding, good, note

__all__ = ["terminal"]

_LEAST = (40, 12)  # columns and lines: less shows nothing useful


def terminal(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Colours, size, characters, mouse."""
    kind = environment.get("TERM", "")
    if not sys.stdout.isatty():
        yield note("terminal", "standard output is none; a terminal is looked at where the doctor writes to one")
    elif kind in ("", "dumb"):
        remedy = "set TERM to what the terminal is, such as xterm-256color"
        yield note("terminal", f"TERM={kind or '(not set)'}: line mode is used", remedy)
    else:
        yield good("terminal", ", ".join([kind, *_around(environment)]))
        yield _size()
        yield _mouse()
    yield _colours(environment)
    yield _characters()


def _around(environment: Mapping[str, str]) -> list[str]:
    """Programs between the app and the terminal's window."""
    found = [environment[name] for name in ("TERM_PROGRAM",) if environment.get(name)]
    found += [word for word, name in (("tmux", "TMUX"), ("screen", "STY"), ("ssh", "SSH_TTY")) if environment.get(name)]
    return list(dict.fromkeys(found))


def _size() -> Finding:
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    what = f"{columns} columns, {lines} lines"
    if columns < _LEAST[0] or lines < _LEAST[1]:
        return note("size", what, f"make the window larger: {_LEAST[0]} by {_LEAST[1]} at least")
    return good("size", what)


def _mouse() -> Finding:
    import curses

    try:
        curses.setupterm()
        mouse = curses.tigetstr("kmous")
    except curses.error as error:
        return note("terminfo", f"{error}", "install its entry; the package ncurses-term has most")
    return good("mouse", "yes") if mouse else note("mouse", "terminfo knows none; every action has a key or a command")


def _colours(environment: Mapping[str, str]) -> Finding:
    if environment.get("NO_COLOR"):
        return note("colours", "none: NO_COLOR is set", "unset NO_COLOR to have colours")
    if environment.get("COLORTERM", "") in ("truecolor", "24bit"):
        return good("colours", "16 million")
    few = "256" if "256" in environment.get("TERM", "") else "16"
    what = f"{few}: COLORTERM does not say more"
    return note("colours", what, "export COLORTERM=truecolor if the terminal can; else --theme terminal")


def _characters() -> Finding:
    encoding = sys.stdout.encoding or "unknown"
    if encoding.lower().replace("-", "") == "utf8":
        return good("characters", "UTF-8")
    return note("characters", encoding, "export LANG=C.UTF-8, or use --ascii")
