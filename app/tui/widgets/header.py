"""The first line: which model, how it runs, which chat."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean


class HeaderLine(Widget):
    """One line; the title on the right gives way first."""

    DEFAULT_CSS = "HeaderLine { height: 1; padding: 0 1; background: $surface; }"

    model: reactive[str] = reactive("")
    details: reactive[str] = reactive("")  # weights and devices
    title: reactive[str] = reactive("")  # of the chat

    def render(self) -> Text:
        """Name and model to the left, title to the right."""
        palette = Palette.of(self.app)
        width = self.size.width
        left = Text.assemble(
            ("◆ ", Style(color=palette.accent)),
            (clean(self.model), Style(bold=True)),
            (f"  {self.details}", Style(color=palette.muted)),
            no_wrap=True,
        )
        left.truncate(width, overflow="ellipsis")
        room = width - left.cell_len - 3
        if room < 8 or not self.title:
            return left
        title = Text(clean(self.title).replace("\n", " "), Style(color=palette.muted), no_wrap=True)
        title.truncate(room, overflow="ellipsis")
        left.append(" " * (width - left.cell_len - title.cell_len))
        return left.append_text(title)
