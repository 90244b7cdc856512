"""Every action and its keys, made from the action list."""

from __future__ import annotations

from itertools import groupby
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

from qwen3_chat.app.tui.actions import ACTIONS, key_name
from qwen3_chat.app.tui.render.palette import Palette


class HelpScreen(ModalScreen[None]):
    """Closes with Esc, F1 or q."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(classes="dialog", id="help"):
            yield Static(help_text(Palette.of(self.app)), markup=False)


def help_text(palette: Palette) -> Group:
    """The actions by group, one a line; long titles hang under themselves."""
    parts: list[Text | Table] = []
    ordered = sorted(ACTIONS, key=lambda action: _first_of(action.group))
    for group, actions in groupby(ordered, key=lambda action: action.group):
        table = Table.grid(padding=(0, 2))
        table.add_column(style=Style(bold=True), min_width=9, max_width=20)
        table.add_column()
        for action in actions:
            table.add_row(Text("  " + (", ".join(key_name(key) for key in action.keys) or "^P")), Text(action.title))
        parts += [Text(group, Style(color=palette.accent, bold=True)), table, Text()]
    signs = Text("Signs\n", Style(color=palette.accent, bold=True))
    signs.append("  ❯ you   ◆ reply   ● being written   ■ stopped   ✗ failed", Style(color=palette.foreground))
    return Group(*parts, signs)


def _first_of(group: str) -> int:
    """Groups in the order in which the list first names them."""
    return next(place for place, action in enumerate(ACTIONS) if action.group == group)
