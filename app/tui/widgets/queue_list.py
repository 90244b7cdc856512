"""The messages that wait for their turn, above the prompt, in the order in which they will be sent."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean

_ROWS = 4  # messages shown; what is behind them is counted


class QueueList(Widget):
    """One line a message. A click takes a message back into the prompt."""

    DEFAULT_CSS = "QueueList { height: auto; display: none; padding: 0 1; }"

    waiting: reactive[tuple[str, ...]] = reactive[tuple[str, ...]]((), layout=True)

    class Taken(Message):
        """The person wants this one back."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def watch_waiting(self, waiting: tuple[str, ...]) -> None:
        """Shown while something waits."""
        self.display = bool(waiting)

    def on_click(self, event: events.Click) -> None:
        """Take back the message of that line."""
        if event.y < min(len(self.waiting), _ROWS):
            self.post_message(self.Taken(event.y))

    def render(self) -> Text:
        """The messages, and how to get them back."""
        palette = Palette.of(self.app)
        width, muted = self.size.width, Style(color=palette.muted)
        lines = []
        for place, text in enumerate(self.waiting[:_ROWS]):
            line = Text("next: " if place == 0 else "then: ", Style(color=palette.warning), no_wrap=True)
            line.append(clean(text).replace("\n", " "), Style(color=palette.foreground))
            line.truncate(width, overflow="ellipsis")
            lines.append(line)
        behind = len(self.waiting) - _ROWS
        hint = f"and {behind} more · " if behind > 0 else ""
        lines.append(
            Text(f"      {hint}↑ in the empty prompt edits the last one, esc takes all back", muted, no_wrap=True)
        )
        lines[-1].truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)
