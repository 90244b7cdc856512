"""The completions above the prompt."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui.completer import Item, Offer
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean

_ROWS = 7


class Menu(Widget):
    """A short list with one row chosen. It takes no focus: the prompt has the keyboard and moves it."""

    DEFAULT_CSS = f"Menu {{ height: auto; max-height: {_ROWS}; display: none; padding: 0 1; background: $surface; }}"

    offer: reactive[Offer | None] = reactive[Offer | None](None, layout=True)
    place: reactive[int] = reactive(0)

    class Picked(Message):
        """A row was clicked."""

    def watch_offer(self, offer: Offer | None) -> None:
        """Shown while there is something to offer."""
        self.display = offer is not None

    @property
    def chosen(self) -> Item | None:
        """The chosen row; None while the menu is closed."""
        return self.offer.items[self.place] if self.offer is not None else None

    def open(self, offer: Offer) -> None:
        """Show an offer; one that is shown already keeps its chosen row."""
        if offer != self.offer:
            self.place = 0
            self.offer = offer

    def close(self) -> bool:
        """Close. False if it was not open."""
        was_open = self.offer is not None
        self.offer, self.place = None, 0
        return was_open

    def move(self, step: int) -> None:
        """Choose another row, round and round."""
        if self.offer is not None:
            self.place = (self.place + step) % len(self.offer.items)

    @property
    def _first(self) -> int:
        """The first row that is shown: the chosen one is always in view."""
        return max(0, self.place - _ROWS + 1)

    def on_click(self, event: events.Click) -> None:
        """Choose and take."""
        if self.offer is not None and self._first + event.y < len(self.offer.items):
            self.place = self._first + event.y
            self.post_message(self.Picked())

    def render(self) -> Text:
        """One item a row, the chosen one with a sign and in bold."""
        palette = Palette.of(self.app)
        lines = []
        items = self.offer.items if self.offer is not None else ()
        width = max((Text(item.label).cell_len for item in items), default=0)
        for place, item in list(enumerate(items))[self._first : self._first + _ROWS]:
            chosen = place == self.place
            line = Text("❯ " if chosen else "  ", Style(color=palette.accent, bold=True), no_wrap=True)
            label = Text(clean(item.label), Style(bold=chosen))
            line.append_text(label).append(" " * (width - label.cell_len + 2))
            line.append(item.detail, Style(color=palette.muted))
            line.truncate(self.size.width, overflow="ellipsis")
            lines.append(line)
        return Text("\n").join(lines)
