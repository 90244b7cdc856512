"""What one entry of the transcript is: a single widget that paints cached strips, whatever its length.

A message made of many small widgets makes every reflow of a long chat slow; this one costs one widget.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import ClassVar, Self

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from qwen3_chat.app.chat.conversation import Message as ChatMessage
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.search import Query, Span
from qwen3_chat.app.tui.render.strips import is_decoration, marked, own_text, with_offsets

GUTTER = 3  # cells: cursor bar, sign, blank
_RIGHT = 1  # cells kept free at the right edge
_MAX_WIDTH = 100  # cells; longer lines are hard to read

Hit = tuple[int, int]  # which of an entry's sources, and the how-manieth find in it


class Entry(Widget, can_focus=True):
    """Base of everything in the transcript. Subclasses say what the lines are; this paints, selects and marks them."""

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
        self._successor: Self | None = None
        self._query: Query | None = None
        self._hit: Hit | None = None
        self._spans: dict[Hit, list[Span]] | None = None  # None: to be looked for
        self._source_lines: dict[int, range] = {}  # where `build` put each of `sources`

    @abstractmethod
    def build(self, palette: Palette, width: int) -> list[Strip]:
        """All lines of the entry, `width` cells each. Notes in `_source_lines` which of them show which source."""

    @abstractmethod
    def _copy(self) -> Self:
        """A new entry that shows the same and goes on in the same way."""

    @property
    def sign(self) -> tuple[str, str]:
        """A one-cell sign for the first line, and its colour."""
        return " ", ""

    @property
    def sources(self) -> Sequence[str]:
        """The texts in which words are found, in the order in which they are shown."""
        return ()

    @property
    def copy_text(self) -> str:
        """What copying the entry gives: the source, not the picture."""
        return "\n".join(self.sources)

    @property
    def palette(self) -> Palette:
        """The palette of the current theme."""
        return Palette.of(self.app)

    # Taken off the screen and put back

    @property
    def current(self) -> Self:
        """This entry, or the one that stands for it since it was taken off the screen: a widget is mounted but once."""
        entry = self
        while entry._successor is not None:
            entry = entry._successor
        return entry

    @property
    def replaced(self) -> bool:
        """Another entry stands for this one."""
        return self._successor is not None

    def successor(self) -> Self:
        """An entry for the same content that can be mounted once this one is removed."""
        self._successor = self._copy()
        self._successor.mark(self._query, self._hit)
        self._successor.annotate(self._annotation, dimmed=self._dimmed)
        return self._successor

    # Painting

    def strips(self, width: int) -> list[Strip]:
        """The lines for a content width, from the cache where nothing changed."""
        key = (self.palette, max(1, min(width - GUTTER - _RIGHT, _MAX_WIDTH)))
        if key != self._painted_for:
            self._source_lines = {}
            self._painted = self.build(*key) + self._annotation_strips(*key)
            self._painted_for, self._spans = key, None
        return self._painted

    def annotate(self, text: str, *, dimmed: bool = False) -> None:
        """Say something about the entry on a line below it; dim what the model does not get to read."""
        if (text, dimmed) != (self._annotation, self._dimmed):
            self._annotation, self._dimmed = text, dimmed
            self.changed()
            self.refresh()

    def _annotation_strips(self, palette: Palette, width: int) -> list[Strip]:
        if not self._annotation:
            return []
        return flow_strips(Text(self._annotation, Style(color=palette.warning, italic=True)), palette, width)

    def changed(self) -> None:
        """The content is new: paint the lines that are others now, and lay out again only if the height is another."""
        before, width = self._painted, self.content_size.width
        self._painted_for = None
        if not width:
            self.refresh(layout=True)
            return
        after = self.strips(width)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        lines = Region(0, same, width, max(len(before), len(after)) - same)
        self.refresh(Region(0, 0, width, 1), lines, layout=len(before) != len(after))  # on the first line is the sign

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
        line = self._with_hits(line, y, palette)
        if (selection := self.text_selection) is not None and (span := selection.get_span(y)) is not None:
            line = marked(line, *span, Style(reverse=True))
        # Pressing the mouse in the gutter begins with the line's first character.
        edge = Style.from_meta({"offset": (-GUTTER, y)})
        bar = Segment("▎" if self.has_focus else " ", Style(color=palette.accent) + edge)
        sign, colour = self.sign if y == 0 else (" ", "")
        gutter = Strip([bar, Segment(f"{sign} ", Style(color=colour or palette.accent, bold=True) + edge)], GUTTER)
        return Strip.join([gutter, with_offsets(line, y)]).adjust_cell_length(width).apply_style(base)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text of this entry, as it is displayed, without bars and labels."""
        lines: list[str] = []
        for y, strip in enumerate(self.strips(self.content_size.width)):
            if (span := selection.get_span(y)) is not None and not is_decoration(strip):
                start, end = span
                lines.append(own_text(strip)[max(0, start) : None if end < 0 else end])
        return "\n".join(lines), "\n"

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show or hide the cursor bar, and what only the cursor says."""
        super().watch_has_focus(has_focus)
        self.changed()
        self.refresh()

    # Finding

    def mark(self, query: Query | None, hit: Hit | None) -> None:
        """Mark every find of the query, and one of them above the others."""
        if (query, hit) != (self._query, self._hit):
            if query != self._query:
                self._spans = None
            self._query, self._hit = query, hit
            self.refresh()

    def unfold(self, source: int) -> bool:
        """Show the lines of that source. False if they are shown already."""
        return False

    def fold(self) -> None:
        """Take an `unfold` back."""

    def line_of(self, hit: Hit) -> int:
        """The line on which a find begins; the nearest before it where the picture has fewer finds than the source."""
        source, number = hit
        spans = self._find()
        while number > 0 and not spans.get((source, number)):
            number -= 1
        found = spans.get((source, number))
        return found[0].line if found else self._source_lines.get(source, range(1)).start

    def _find(self) -> dict[Hit, list[Span]]:
        """Every find in the lines as they are now."""
        strips = self.strips(self.content_size.width)
        if self._spans is None:
            self._spans = {}
            query = self._query or Query("")
            for source, lines in self._source_lines.items():
                found = query.spans([own_text(strips[line]) for line in lines])
                for number, spans in enumerate(found):
                    self._spans[source, number] = [replace(span, line=span.line + lines.start) for span in spans]
        return self._spans

    def _with_hits(self, line: Strip, y: int, palette: Palette) -> Strip:
        for hit, spans in self._find().items() if self._query is not None else ():
            for span in spans:
                if span.line == y:
                    line = marked(line, span.start, span.end, palette.found(chosen=hit == self._hit))
        return line

    # What its keys do

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
