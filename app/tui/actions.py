"""Everything a person can do, once: keys, palette, help and the line of hints are all made from this list.

An action `turn.stop` runs the method `action_turn_stop` of the widget or screen that owns its scope. The id is also
the binding's id, so that a keymap can rebind it. Only the prompt looks its keys up itself: see `PromptArea`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Scope = Literal["app", "chat", "prompt", "message"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do."""

    id: str
    keys: tuple[str, ...]
    title: str
    scope: Scope
    group: str  # heading in the help screen
    hint: str = ""  # word in the line of hints; "" leaves it out there
    palette: bool = True
    priority: bool = True  # before the focused widget's own use of the key

    @property
    def method(self) -> str:
        """The name Textual runs, without `action_`."""
        return self.id.replace(".", "_")


ACTIONS: tuple[Action, ...] = (
    Action("prompt.send", ("enter",), "Send the message", "prompt", "Writing", "send", palette=False),
    Action(
        "prompt.newline",
        ("ctrl+j", "shift+enter", "alt+enter"),
        "Start a new line",
        "prompt",
        "Writing",
        "newline",
        palette=False,
    ),
    Action("prompt.older", ("up",), "Earlier prompt (on the first line)", "prompt", "Writing", palette=False),
    Action("prompt.newer", ("down",), "Later prompt (on the last line)", "prompt", "Writing", palette=False),
    Action("turn.stop", ("escape",), "Stop the reply and keep it; else close or go back", "chat", "Reply", "stop"),
    Action("turn.thinking", ("ctrl+t",), "Thinking on or off for the next reply", "chat", "Reply"),
    Action("chat.new", ("ctrl+n",), "New chat", "chat", "Chat"),
    Action("chat.sessions", ("ctrl+s",), "Saved chats: search, open, rename, delete, export", "chat", "Chat", "chats"),
    Action("view.engine", ("f3",), "Engine panel: layers, KV cache, speed", "chat", "View", "engine"),
    Action("view.help", ("f1",), "Help: every key", "chat", "View", "help"),
    Action("view.palette", ("ctrl+p",), "Commands", "chat", "View", "commands", palette=False),
    Action("view.theme", (), "Theme", "chat", "View"),
    Action("view.page_up", ("pageup",), "Scroll up a page", "chat", "View", palette=False),
    Action("view.page_down", ("pagedown",), "Scroll down a page", "chat", "View", palette=False),
    Action("view.latest", ("ctrl+end",), "Go to the end and follow the reply", "chat", "View"),
    Action("cursor.previous", ("alt+up",), "Step to the message above", "chat", "Messages", "messages", palette=False),
    Action("cursor.next", ("alt+down",), "Step to the message below", "chat", "Messages", palette=False),
    Action("message.previous", ("k",), "Message above", "message", "Messages", "above", False, False),
    Action("message.next", ("j",), "Message below", "message", "Messages", "below", False, False),
    Action("message.first", ("g",), "First message", "message", "Messages", "", False, False),
    Action("message.last", ("G",), "Last message", "message", "Messages", "", False, False),
    Action("message.copy", ("y",), "Copy the message's text", "message", "Messages", "copy", False, False),
    Action("message.thinking", ("t",), "Unfold or fold the thinking", "message", "Messages", "thinking", False, False),
    Action(
        "app.interrupt", ("ctrl+c",), "Copy the selection; else stop; else twice to quit", "app", "Chat", palette=False
    ),
    Action("prompt.end_of_input", ("ctrl+d",), "Quit when the prompt is empty", "prompt", "Chat", palette=False),
    Action("app.quit_chat", ("ctrl+q",), "Quit", "app", "Chat"),
)

_KEY_NAMES = {
    "enter": "⏎",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


def key_name(key: str) -> str:
    """A key as it is written for people: `ctrl+j` is ^J, `alt+up` is alt+↑."""
    *modifiers, last = key.split("+")
    name = _KEY_NAMES.get(last, last.upper() if last.startswith("f") and last[1:].isdigit() else last)
    if modifiers == ["ctrl"] and len(name) == 1:
        return f"^{name.upper()}"
    return "+".join([*modifiers, name])


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings for the owner of a scope."""
    return [
        Binding(",".join(action.keys), action.method, action.title, show=False, priority=action.priority, id=action.id)
        for action in ACTIONS
        if action.scope == scope and action.keys
    ]
