"""Every action and its keys, made from the action list."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import ClassVar

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from qwen3_chat.app.tui.actions import ACTIONS, available
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.render.palette import Palette

_WITH_IDS = 90  # cells; on a narrower screen the ids would leave no room for the words


class HelpScreen(ModalScreen[None]):
    """Closes with Esc, q, or the key that opens it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", show=False),
        Binding("f1", "dismiss", "Close", show=False, id="view.help"),
    ]

    def __init__(self, keymap: Keymap, thinking_mode: str | None, config: Path) -> None:
        """`config` is the file in which keys can be changed."""
        super().__init__()
        self._keymap = keymap
        self._thinking_mode = thinking_mode
        self._config = config

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        ids = self.app.size.width >= _WITH_IDS
        text = help_text(Palette.of(self.app), self._keymap, self._thinking_mode, self._config, with_ids=ids)
        with VerticalScroll(classes="dialog", id="help"):
            yield Static(text, markup=False)


def help_text(
    palette: Palette, keymap: Keymap, thinking_mode: str | None, config: Path, *, with_ids: bool = True
) -> Group:
    """The actions by group, one a line: keys and command, what it does, and the id by which its keys are changed."""
    heading, faint = Style(color=palette.accent, bold=True), Style(color=palette.faint)
    parts: list[Text | Table] = []
    known = [action for action in ACTIONS if available(action, thinking_mode)]
    ordered = sorted(known, key=lambda action: _first_of(action.group))
    for group, actions in groupby(ordered, key=lambda action: action.group):
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(style=Style(bold=True), width=20)
        table.add_column(ratio=1)
        table.add_column(style=faint, justify="right", no_wrap=True)
        for action in actions:
            ways = keymap.names(action.id) + ([f"/{action.slash}"] if action.slash else [])
            keys = "  " + (", ".join(ways) or keymap.shown("view.palette"))
            table.add_row(Text(keys), Text(action.title), action.id if with_ids else "")
        parts += [Text(group, heading), table, Text()]
    signs = Text("Signs\n", heading)
    signs.append(
        "  ❯ you   ◆ reply   ● being written   ■ stopped   ✗ failed   Σ summary", Style(color=palette.foreground)
    )
    files = Text("Files\n", heading)
    files.append("  @path in a message attaches the file\n", Style(color=palette.foreground))
    files.append(
        f'  Other keys: {config}, as in\n  [keys]\n  "turn.regenerate" = "ctrl+y"', Style(color=palette.foreground)
    )
    return Group(*parts, signs, Text(), files)


def _first_of(group: str) -> int:
    """Groups in the order in which the list first names them."""
    return next(place for place, action in enumerate(ACTIONS) if action.group == group)
