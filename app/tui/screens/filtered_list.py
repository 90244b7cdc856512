"""A list under a line that narrows it: letters go to the line, the arrows move in the list."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from qwen3_chat.app.tui.render.text import clean

Chosen = TypeVar("Chosen")


class FilteredList(ModalScreen[Chosen]):
    """The frame of such a screen. Subclasses fill the list, and say what is chosen and what `back` takes back first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False, priority=True),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Down", show=False, priority=True),
    ]
    # Textual scopes it to the subclass.
    CSS = """
    .dialog { width: 96; height: 100%; max-height: 100%; }
    #line { height: 1; margin-bottom: 1; }
    #mode { width: auto; color: $accent; text-style: bold; }
    Input { width: 1fr; background: $surface; }
    .dialog OptionList { height: 1fr; margin-top: 0; }
    .dialog OptionList > .option-list--option-highlighted { background: $accent 25%; }
    #told { height: 1; margin-top: 1; color: $foreground 60%; }
    """
    HEADING: ClassVar[str]
    PLACEHOLDER: ClassVar[str]

    def compose(self) -> ComposeResult:
        """Title, line, list, and what can be done."""
        with Vertical(classes="dialog"):
            yield Static(self.HEADING, classes="dialog-title", markup=False)
            with Horizontal(id="line"):
                yield Static("❯ ", id="mode", markup=False)
                yield Input(placeholder=self.PLACEHOLDER, select_on_focus=False, compact=True)
            yield OptionList(markup=False)
            yield Static(id="told", markup=False)

    def on_mount(self) -> None:
        """The line keeps the focus."""
        self.listed.can_focus = False
        self.query_one(Input).focus()

    @property
    def listed(self) -> OptionList:
        """The list."""
        return self.query_one(OptionList)

    def tell(self, text: str) -> None:
        """Say it below the list."""
        self.query_one("#told", Static).update(Text(clean(text), no_wrap=True, overflow="ellipsis"))

    def action_move(self, step: int) -> None:
        """The highlight, while the keys go to the line."""
        listed = self.listed
        if listed.highlighted is not None:
            listed.highlighted = min(max(0, listed.highlighted + step), listed.option_count - 1)
