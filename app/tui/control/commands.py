"""What a person types behind a slash: a command of the action list, and its argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from qwen3_chat.app.tui.actions import ACTIONS, Action, available

_COMMAND = re.compile(r"/([a-zA-Z][\w-]*)(?:\s+(.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `action` is None if there is none of that name: `problem` then says so."""

    action: Action | None
    argument: str
    problem: str = ""


def parse(typed: str, thinking_mode: str | None) -> Command | None:
    """The command that was typed; None if it is a message. A path such as /etc/hosts is one, and so is `//text`."""
    match = _COMMAND.match(typed)
    if match is None:
        return None
    name, argument = match[1].lower(), (match[2] or "").strip()
    known = {action.slash: action for action in ACTIONS if action.slash and available(action, thinking_mode)}
    action = known.get(name)
    if action is None:
        close = get_close_matches(name, known, n=1)
        meant = f" (/{close[0]}?)" if close else ""
        return Command(None, argument, f"there is no command /{name}{meant}; a second slash sends it as text")
    if argument and not action.argument:
        return Command(None, argument, f"/{name} takes nothing after it")
    return Command(action, argument)


def message_of(typed: str) -> str:
    """The message that was typed: `//text` says `/text`."""
    return typed[1:] if typed.startswith("//") else typed
