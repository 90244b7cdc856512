"""One of a few words in a line: the arrow keys, space and clicks go through them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Chooser(Widget, can_focus=True):
    """Shows the word that is chosen."""

    DEFAULT_CSS = """
    Chooser { height: 1; padding: 0 1; background: $panel; }
    Chooser:focus { background: $accent 25%; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "Next", show=False),
        Binding("left", "step(-1)", "Before", show=False),
    ]

    place: reactive[int] = reactive(0)

    class Chosen(Message):
        """Another word."""

        def __init__(self, chooser: Chooser) -> None:
            super().__init__()
            self.chooser = chooser

        @property
        def control(self) -> Chooser:
            """Who says so."""
            return self.chooser

    def __init__(self, words: tuple[str, ...], place: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.words = words
        self.set_reactive(Chooser.place, place)

    def render(self) -> Text:
        """The word between arrows, which say that there are others."""
        return Text(f"‹ {self.words[self.place]} ›", no_wrap=True, overflow="ellipsis")

    def action_step(self, step: int) -> None:
        """The next word, or the one before; after the last comes the first."""
        self.place = (self.place + step) % len(self.words)
        self.post_message(self.Chosen(self))

    def on_click(self) -> None:
        """The next word."""
        self.action_step(1)
