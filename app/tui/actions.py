"""Everything a person can do, once: keys, slash commands, palette, help and the line of hints are made from this list.

An action `turn.stop` runs the method `action_turn_stop` of whoever has it: the chat screen or one of its parts (see
`control`), the application for the scope "app", and the prompt's text area for the scope "prompt". Which keys lead to
it is the keymap's matter; the keys here are those of a person who has configured nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["app", "chat", "prompt", "message", "lens"]
Need = Literal["", "switch", "thoughts"]  # of the checkpoint: a switch for thinking; any thinking at all


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
    slash: str = ""  # the command `/slash` in the prompt
    argument: str = ""  # what may follow the command; its method then takes a text
    needs: Need = ""  # hidden for a checkpoint that has it not

    @property
    def method(self) -> str:
        """The name of the method that does it, without `action_`."""
        return self.id.replace(".", "_")


def _prompt(id: str, keys: tuple[str, ...], title: str, hint: str = "", group: str = "Writing") -> Action:
    return Action(id, keys, title, "prompt", group, hint, palette=False)


def _message(id: str, key: str, title: str, hint: str = "", slash: str = "", *, palette: bool = False) -> Action:
    """On the message cursor; from the palette or as a command it is about the newest message."""
    return Action(id, (key,), title, "message", "Messages", hint, palette or bool(slash), priority=False, slash=slash)


def _lens(id: str, keys: tuple[str, ...], title: str, hint: str = "") -> Action:
    """On the token cursor, while the lens has the focus."""
    return Action(id, keys, title, "lens", "Token lens", hint, palette=False, priority=False)


ACTIONS: tuple[Action, ...] = (
    _prompt("prompt.send", ("enter",), "Send the message", "send"),
    _prompt("prompt.newline", ("ctrl+j", "shift+enter", "alt+enter"), "Start a new line", "newline"),
    _prompt("prompt.older", ("up",), "Earlier prompt (on the first line); the newest that waits"),
    _prompt("prompt.newer", ("down",), "Later prompt (on the last line)"),
    _prompt("prompt.search", ("ctrl+r",), "Search the earlier prompts"),
    _prompt("prompt.complete", ("tab",), "Complete a /command or an @file"),
    _prompt("prompt.editor", ("ctrl+g",), "Write in $VISUAL or $EDITOR"),
    Action("turn.stop", ("escape",), "Stop the reply and keep it; else close or go back", "chat", "Reply", "stop"),
    Action("cursor.previous", ("alt+up",), "Step to the message above", "chat", "Messages", "messages", palette=False),
    Action("cursor.next", ("alt+down",), "Step to the message below", "chat", "Messages", palette=False),
    Action("turn.thinking", ("ctrl+t",), "Thinking on or off for the next reply", "chat", "Reply", needs="switch"),
    Action(
        "turn.think",
        (),
        "Think before answering",
        "chat",
        "Reply",
        slash="think",
        argument="[MESSAGE]",
        needs="switch",
        palette=False,
    ),
    Action(
        "turn.no_think",
        (),
        "Answer at once",
        "chat",
        "Reply",
        slash="no_think",
        argument="[MESSAGE]",
        needs="switch",
        palette=False,
    ),
    Action(
        "turn.budget",
        (),
        "Tokens of thinking before the answer",
        "chat",
        "Reply",
        slash="budget",
        argument="[TOKENS]",
        needs="thoughts",
        palette=False,
    ),
    Action("turn.sampling", ("f2",), "Sampling: temperature, penalties, seed …", "chat", "Reply", slash="sampling"),
    Action("chat.new", ("ctrl+n",), "New chat", "chat", "Chat", slash="new"),
    Action(
        "chat.sessions",
        ("ctrl+s",),
        "Saved chats: search, open, rename, delete, export",
        "chat",
        "Chat",
        "chats",
        slash="sessions",
    ),
    Action(
        "chat.model",
        ("ctrl+l",),
        "Another model: recent ones, your list, downloads",
        "chat",
        "Chat",
        slash="model",
        argument="[PATH]",
    ),
    Action("chat.system", (), "System prompt of this chat", "chat", "Chat", slash="system", argument="[TEXT]"),
    Action("chat.compact", (), "Sum up the older messages to make room", "chat", "Chat", slash="compact"),
    Action(
        "chat.uncompact", (), "Take the summary back: send the older messages again", "chat", "Chat", slash="uncompact"
    ),
    Action("view.palette", ("ctrl+p",), "Commands", "chat", "View", "commands", palette=False),
    Action("view.help", ("f1",), "Help: every key", "chat", "View", "help", slash="help"),
    Action("view.find", ("ctrl+f",), "Find words in the chat", "chat", "View", slash="find"),
    Action("view.engine", ("f3",), "Engine panel: layers, KV cache, speed", "chat", "View", "engine", slash="engine"),
    Action(
        "view.lens",
        ("f4",),
        "Token lens: how likely each token of a reply was, and what else there was",
        "chat",
        "View",
        "tokens",
        slash="lens",
    ),
    Action("view.theme", (), "Theme", "chat", "View", slash="theme"),
    Action("view.page_up", ("pageup",), "Scroll up a page", "chat", "View", palette=False),
    Action("view.page_down", ("pagedown",), "Scroll down a page", "chat", "View", palette=False),
    Action("view.latest", ("ctrl+end",), "Go to the end and follow the reply", "chat", "View"),
    _message("message.previous", "k", "Message above"),
    _message("message.next", "j", "Message below"),
    _message("message.first", "g", "First message"),
    _message("message.last", "G", "Last message"),
    _message("message.copy", "y", "Copy the message's text", "copy", "copy"),
    _message("message.edit", "e", "Edit it, as a new version", "edit", "edit"),
    _message("turn.regenerate", "r", "Answer anew, as a new version", "again", "regenerate"),
    _message("turn.continue", ".", "Let the reply go on", "go on", "continue"),
    _message("message.drop", "d", "Leave it out of what is sent, or take it in again", "drop", "drop"),
    _message("message.older", "[", "The version before", "] versions"),
    _message("message.newer", "]", "The next version of it"),
    _message("message.branch", "b", "Branch: go on from here, leave what follows", "branch", "branch"),
    _message("message.code", "c", "Copy its next code block", "code", "code"),
    _message("message.thinking", "t", "Unfold or fold the thinking", "thinking"),
    _lens("lens.next", ("right", "l"), "Next token", "token"),
    _lens("lens.previous", ("left", "h"), "Token before"),
    _lens("lens.down", ("j",), "A line down"),
    _lens("lens.up", ("k",), "A line up"),
    _lens("lens.first", ("home", "g"), "First token"),
    _lens("lens.last", ("end", "G"), "Last token"),
    _lens("lens.surprise", ("n",), "Next token that surprises", "surprise"),
    _lens("lens.surprise_before", ("N",), "The surprising token before"),
    _lens("lens.lower", ("down",), "Choose the next less likely alternative", "alternative"),
    _lens("lens.higher", ("up",), "Choose the next likelier alternative"),
    _lens("lens.branch", ("enter",), "Branch: a new version that goes on from the alternative", "branch"),
    _lens("lens.score", ("s",), "Measure a reply whose alternatives are not known"),
    Action(
        "app.interrupt", ("ctrl+c",), "Copy the selection; else stop; else twice to quit", "app", "Chat", palette=False
    ),
    _prompt("prompt.end_of_input", ("ctrl+d",), "Quit when the prompt is empty", group="Chat"),
    Action("app.quit_chat", ("ctrl+q",), "Quit", "app", "Chat", slash="quit"),
)

BY_ID = {action.id: action for action in ACTIONS}


def unbound(action_id: str) -> str:
    """Stands for no key: Textual knows no binding without one, and no terminal sends this."""
    return f"unbound_{action_id.replace('.', '_')}"


def available(action: Action, thinking: str | None) -> bool:
    """Whether the action means anything for a checkpoint of this thinking mode; None: it is not loaded yet."""
    if thinking is None or not action.needs:
        return True
    return thinking == "switch" or (action.needs == "thoughts" and thinking == "always")
