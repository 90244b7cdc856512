"""The first line: which model, how it runs, its system prompt, which chat."""

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
    system: reactive[str] = reactive("")  # prompt
    title: reactive[str] = reactive("")  # of the chat
    place: reactive[str] = reactive("")  # which version of the message under the cursor, such as 2/5

    def render(self) -> Text:
        """Name and model to the left, the start of the system prompt behind them, title and version to the right."""
        palette = Palette.of(self.app)
        width = self.size.width
        left = Text.assemble(
            ("◆ ", Style(color=palette.accent)),
            (clean(self.model), Style(bold=True)),
            (f"  {self.details}", Style(color=palette.muted)),
            no_wrap=True,
        )
        place = f"  {self.place}" if self.place else ""
        if self.system:
            system = Text(f"  system: {clean(self.system)}".replace("\n", " "), Style(color=palette.secondary))
            system.truncate(max(0, (width - left.cell_len) // (2 if self.title else 1)), overflow="ellipsis")
            left.append_text(system)
        left.truncate(max(0, width - len(place)), overflow="ellipsis")
        right = Text(place, Style(color=palette.warning, bold=True))
        room = width - left.cell_len - right.cell_len - 3
        if room >= 8 and self.title:
            title = Text(clean(self.title).replace("\n", " "), Style(color=palette.muted), no_wrap=True)
            title.truncate(room, overflow="ellipsis")
            right = title.append_text(right)
        left.append(" " * (width - left.cell_len - right.cell_len))
        return left.append_text(right)
