"""What one entry of the transcript is: a single widget that paints cached strips, whatever its length.

A message made of many small widgets makes every reflow of a long chat slow; this one costs one widget.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from qwen3_chat.app.chat.conversation import Message as ChatMessage
from qwen3_chat.app.tui.actions import bindings
from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette

GUTTER = 3  # cells: cursor bar, sign, blank
_RIGHT = 1  # cells kept free at the right edge
_MAX_WIDTH = 100  # cells; longer lines are hard to read


class Entry(Widget, can_focus=True):
    """Base of everything in the transcript. Subclasses say what the lines are; this paints and selects them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("message")
    FOCUS_ON_CLICK = False  # typing goes on in the prompt after a click
    DEFAULT_CSS = "Entry { width: 1fr; height: auto; margin: 0 0 1 0; }"

    message: ChatMessage | None = None  # what it shows; None: a note, or the welcome

    class CursorMoved(Message):
        """A key asks for another entry: -1 above, 1 below, or an end of the transcript."""

        def __init__(self, entry: Entry, step: int, to_end: bool = False) -> None:
            super().__init__()
            self.entry = entry
            self.step = step
            self.to_end = to_end

    def __init__(self) -> None:
        super().__init__()
        self._painted: list[Strip] = []
        self._painted_for: tuple[Palette, int] | None = None
        self._annotation = ""
        self._dimmed = False

    @abstractmethod
    def build(self, palette: Palette, width: int) -> list[Strip]:
        """All lines of the entry, `width` cells each."""

    @property
    def sign(self) -> tuple[str, str]:
        """A one-cell sign for the first line, and its colour."""
        return " ", ""

    @property
    def copy_text(self) -> str:
        """What copying the entry gives: the source, not the picture."""
        return "\n".join(strip.text.rstrip() for strip in self._painted)

    @property
    def palette(self) -> Palette:
        """The palette of the current theme."""
        return Palette.of(self.app)

    def strips(self, width: int) -> list[Strip]:
        """The lines for a content width, from the cache where nothing changed."""
        key = (self.palette, max(1, min(width - GUTTER - _RIGHT, _MAX_WIDTH)))
        if key != self._painted_for:
            self._painted = self.build(*key) + self._annotation_strips(*key)
            self._painted_for = key
        return self._painted

    def annotate(self, text: str, *, dimmed: bool = False) -> None:
        """Say something about the entry on a line below it; dim what the model does not get to read."""
        if (text, dimmed) != (self._annotation, self._dimmed):
            self._annotation, self._dimmed = text, dimmed
            self.changed()

    def _annotation_strips(self, palette: Palette, width: int) -> list[Strip]:
        if not self._annotation:
            return []
        return flow_strips(Text(self._annotation, Style(color=palette.warning, italic=True)), palette, width)

    def changed(self) -> None:
        """The content is new: paint again, and lay out again only if the height is another."""
        before = len(self._painted)
        self._painted_for = None
        width = self.content_size.width
        self.refresh(layout=not width or len(self.strips(width)) != before)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines at that width."""
        return len(self.strips(width))

    def render_line(self, y: int) -> Strip:
        """Gutter and line; the gutter cannot be selected."""
        width = self.content_size.width
        strips = self.strips(width)
        base = self.visual_style.rich_style  # Textual paints no background under lines that a widget makes itself
        if y >= len(strips):
            return Strip.blank(width, base)
        palette = self.palette
        line = strips[y].apply_style(Style(dim=True)) if self._dimmed else strips[y]
        if (selection := self.text_selection) is not None and (span := selection.get_span(y)) is not None:
            line = _highlighted(line, *span)
        bar = Segment("▎" if self.has_focus else " ", Style(color=palette.accent))
        sign, colour = self.sign if y == 0 else (" ", "")
        gutter = Strip([bar, Segment(f"{sign} ", Style(color=colour or palette.accent, bold=True))], GUTTER)
        return Strip.join([gutter, line.apply_offsets(0, y)]).adjust_cell_length(width).apply_style(base)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text of this entry."""
        lines = "\n".join(strip.text.rstrip() for strip in self.strips(self.content_size.width))
        return selection.extract(lines), "\n"

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show or hide the cursor bar, and what only the cursor says."""
        super().watch_has_focus(has_focus)
        self.changed()

    def action_message_previous(self) -> None:
        """Cursor up."""
        self.post_message(self.CursorMoved(self, -1))

    def action_message_next(self) -> None:
        """Cursor down."""
        self.post_message(self.CursorMoved(self, 1))

    def action_message_first(self) -> None:
        """Cursor to the first entry."""
        self.post_message(self.CursorMoved(self, -1, to_end=True))

    def action_message_last(self) -> None:
        """Cursor to the last entry."""
        self.post_message(self.CursorMoved(self, 1, to_end=True))

    def action_message_copy(self) -> None:
        """Copy the source text."""
        self.app.copy_to_clipboard(self.copy_text)
        self.notify("Copied", timeout=2, markup=False)

    def action_message_thinking(self) -> None:
        """Only replies have thinking to unfold."""


def _highlighted(strip: Strip, start: int, end: int) -> Strip:
    """The strip with characters start..end shown in reverse (end -1: to the end). Positions count characters."""
    text = strip.text
    left = cell_len(text[:start])
    right = strip.cell_length if end < 0 else cell_len(text[:end])
    if right <= left:
        return strip
    parts = [strip.crop(0, left), strip.crop(left, right).apply_style(Style(reverse=True)), strip.crop(right)]
    return Strip.join(parts)
