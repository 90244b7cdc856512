"""Which keys lead to which action: the registry's own, changed by the `[keys]` of the configuration file."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.settings.nearest import meant
from qwen3_chat.app.tui.actions import ACTIONS, BY_ID, Action, Scope, unbound

_MODIFIERS = ("alt", "ctrl", "shift", "super", "hyper", "meta")
_TAKEN = {
    "ctrl+i": "the terminal sends it for tab",
    "ctrl+m": "the terminal sends it for enter",
    "ctrl+h": "the terminal sends it for backspace",
    "ctrl+left_square_bracket": "the terminal sends it for escape",
    "ctrl+b": "tmux takes it for itself",
    "ctrl+a": "screen takes it for itself",
}
_NAMED = {
    *("enter escape tab space backspace delete insert home end pageup pagedown up down left right".split()),
    *(f"f{number}" for number in range(1, 25)),
}
_WRITING = {"space", "backspace", "delete", "left", "right", "home", "end"}  # the text area's own
_ARROWS = {"up", "down"}  # the text area's, too, but for its first and last line
_TOGETHER: tuple[tuple[Scope, ...], ...] = (
    ("app", "chat", "prompt"),
    ("app", "chat", "message"),
    ("app", "chat", "lens"),
)
_SPELLED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
_SHOWN = {
    **{"enter": "⏎", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn"},
    **{"up": "↑", "down": "↓", "left": "←", "right": "→"},
}


class Keymap:
    """Keys of every action, in Textual's spelling (`full_stop`, `ctrl+j`)."""

    def __init__(self, changes: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """`changes` replace the registry's keys action by action; they are checked by `from_config`."""
        keys = {action.id: action.keys for action in ACTIONS} | dict(changes or {})
        self._keys = {name: tuple(normal(key) for key in several) for name, several in keys.items()}
        self._actions = {
            (BY_ID[name].scope, key): BY_ID[name] for name, several in self._keys.items() for key in several
        }

    @classmethod
    def from_config(cls, config: Config) -> Keymap:
        """Raises SettingsError, naming file and key, for what no action or key can be, and for a key with two uses."""
        for name, keys in config.keys.items():
            action = BY_ID.get(name)
            if action is None:
                raise config.wrong("keys", name, f"is no action{meant(name, BY_ID)}; F1 in the chat lists them all")
            for key in keys:
                if (why := _unusable(normal(key), action)) is not None:
                    raise config.wrong("keys", name, f"{key!r} cannot be used: {why}; choose another key")
            if not keys and not action.palette and not action.slash and action.priority:
                raise config.wrong("keys", name, "needs a key: nothing else leads to it")
        keymap = cls(config.keys)
        keymap._check_conflicts(config)
        return keymap

    def _check_conflicts(self, config: Config) -> None:
        for scopes in _TOGETHER:
            owners: dict[str, str] = {}
            for action in (action for action in ACTIONS if action.scope in scopes):
                for key in self._keys[action.id]:
                    other = owners.setdefault(key, action.id)
                    if other != action.id:
                        name, other = (action.id, other) if action.id in config.keys else (other, action.id)
                        remedy = f'choose another key, or give "{other}" one, too'
                        raise config.wrong("keys", name, f'"{key}" is the key of "{other}" already: {remedy}')

    def keys(self, action_id: str) -> tuple[str, ...]:
        """The keys of an action; none: it is reached by other ways."""
        return self._keys[action_id]

    def shown(self, action_id: str) -> str:
        """Its first key as written for people; "" without one."""
        keys = self._keys[action_id]
        return key_name(keys[0]) if keys else ""

    def action(self, scope: Scope, key: str) -> Action | None:
        """What a key does in a scope."""
        return self._actions.get((scope, key))

    def textual(self) -> dict[str, str]:
        """For `App.set_keymap`."""
        return {name: ",".join(keys) or unbound(name) for name, keys in self._keys.items()}


def normal(key: str) -> str:
    """Textual's own spelling of a key: modifiers in order, characters by their names."""
    *modifiers, last = [key] if len(key) == 1 else key.strip().split("+")
    if len(last) == 1:
        last = _spelled(last)
    return "+".join([*sorted(modifier.lower() for modifier in modifiers), last])


def _spelled(character: str) -> str:
    """Textual's name of a character: that of Unicode, but for a few that programmers call otherwise."""
    if character.isalnum():
        return character
    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return _SPELLED.get(name, name)


def key_name(key: str) -> str:
    """A key as it is written for people: `ctrl+j` is ^J, `alt+up` is alt+↑, `full_stop` is a full stop."""
    *modifiers, last = key.split("+")
    name = _SHOWN.get(last, _characters().get(last, last))
    if last.startswith("f") and last[1:].isdigit():
        name = last.upper()
    if modifiers == ["ctrl"] and len(name) == 1:
        return f"^{name.upper()}"
    return "+".join([*modifiers, name])


@lru_cache(maxsize=1)
def _characters() -> dict[str, str]:
    """Textual's names of the characters of a keyboard."""
    return {normal(character): character for character in map(chr, range(33, 127)) if normal(character) != character}


def _unusable(key: str, action: Action) -> str | None:
    *modifiers, last = key.split("+")
    if any(modifier not in _MODIFIERS for modifier in modifiers) or not _is_key(last):
        return 'there is no such key (written as in "ctrl+x", "alt+up", "f5", "enter")'
    if key in _TAKEN:
        return _TAKEN[key]
    if action.scope in ("message", "lens"):
        return None
    types = (len(last) == 1 or last in _characters()) and set(modifiers) <= {"shift"}
    if types or key in _WRITING or (key in _ARROWS and action.scope != "prompt"):
        return "it is needed for writing"
    return None


def _is_key(name: str) -> bool:
    return len(name) == 1 or name in _characters() or name in _NAMED
