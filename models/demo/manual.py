"""The keys, commands and flags of the app that the model was taught, as `manual.json` has them.

That file is written by `python -m qwen3_chat.app.manual` from the app's registry of actions and its argument parser;
what is here may know neither.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["FILE", "Action", "Command", "Flag", "Manual", "key_name", "manual"]

FILE = Path(__file__).with_name("manual.json")
_NAMES = {
    "enter": "Enter", "escape": "Esc", "up": "↑", "down": "↓", "pageup": "PgUp", "pagedown": "PgDn", "end": "End",
    "tab": "Tab",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Action:
    """What a person can do: by keys (Textual's spelling), by a /command, or by choosing its title from the commands."""

    id: str
    title: str
    keys: tuple[str, ...]
    slash: str  # "" has no command
    scope: str  # where the keys work; "message": on a message that was stepped to, "lens": in the token lens


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of the command line, shortest name first."""

    names: tuple[str, ...]
    value: str  # what follows it, such as PATH; "" nothing
    help: str

    @property
    def long(self) -> str:
        """Its longest name."""
        return max(self.names, key=len)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the command line, `qwen3-chat NAME`."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Manual:
    """All of them."""

    actions: tuple[Action, ...]
    flags: tuple[Flag, ...]
    commands: tuple[Command, ...]

    def action(self, id: str) -> Action:
        """The action of this id. Raises KeyError."""
        return {action.id: action for action in self.actions}[id]


@lru_cache(maxsize=1)
def manual() -> Manual:
    """Read `manual.json`."""
    read = json.loads(FILE.read_text(encoding="utf-8"))
    return Manual(
        tuple(Action(**{**action, "keys": tuple(action["keys"])}) for action in read["actions"]),
        tuple(Flag(**{**flag, "names": tuple(flag["names"])}) for flag in read["flags"]),
        tuple(Command(**command) for command in read["commands"]),
    )


def key_name(key: str) -> str:
    """A key as the model writes it: `ctrl+j`, `alt+↑`, `Esc`, `F3`."""
    *modifiers, last = key.split("+")
    name = last.upper() if last[0] == "f" and last[1:].isdigit() else _NAMES.get(last, last)
    return "+".join([*modifiers, name])
