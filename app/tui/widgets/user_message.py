"""What the person said, as they typed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.style import Style
from rich.text import Text
from textual import events
from textual.strip import Strip

from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.strips import DECORATION
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.entry import Entry

_LONG = 24  # lines; a message of more is folded
_SHOWN = 12  # lines of it then


class UserMessage(Entry):
    """One user message. Plain text: a person's asterisks are asterisks. A long one, as with a file in it, is folded."""

    DEFAULT_CSS = "UserMessage { background: $surface; }"

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message: Message = message
        self.unfolded = False
        self._fold_line: int | None = None  # where it is, for the mouse

    def _copy(self) -> Self:
        copy = type(self)(self.message)
        copy.unfolded = self.unfolded
        return copy

    @property
    def sign(self) -> tuple[str, str]:
        """The same sign as the prompt's."""
        return "❯", self.palette.muted if self.message.dropped else ""

    @property
    def sources(self) -> Sequence[str]:
        """The text as typed."""
        return (self.message.content,)

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """The text; the beginning of a long one, and how much more there is."""
        colour = palette.muted if self.message.dropped else palette.foreground
        strips = flow_strips(Text(clean(self.message.content), Style(color=colour)), palette, width)
        self._fold_line = None
        shown = len(strips)
        if shown > _LONG:
            if not self.unfolded:
                shown = _SHOWN
            self._fold_line = shown
            fold = flow_strips(self._fold_text(palette, len(strips) - shown), palette, width)
            strips = strips[:shown] + [strip.apply_style(DECORATION) for strip in fold]
        self._source_lines[0] = range(shown)
        return strips

    def _fold_text(self, palette: Palette, hidden: int) -> Text:
        text = Text("▸ " if hidden else "▾ ", Style(color=palette.accent))
        text.append(f"{format.exact(hidden)} more lines" if hidden else "all of it", Style(color=palette.muted))
        how = f"t {'unfolds' if hidden else 'folds'} it" if self.has_focus else "click, or alt+↑ and t"
        return text.append(f"   {how}", Style(color=palette.faint))

    def unfold(self, source: int) -> bool:
        """Show all of it."""
        hidden = self._fold_line is not None and not self.unfolded
        if hidden:
            self._toggle()
        return hidden

    def fold(self) -> None:
        """Show its beginning again."""
        if self.unfolded:
            self._toggle()

    def _toggle(self) -> None:
        self.unfolded = not self.unfolded
        self.changed()

    def action_message_thinking(self) -> None:
        """The key that folds."""
        if self._fold_line is not None:
            self._toggle()

    def on_click(self, event: events.Click) -> None:
        """A click on the fold line folds or unfolds."""
        if event.y == self._fold_line and not self.screen.selections:
            self._toggle()
