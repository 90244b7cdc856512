"""A line of text in several styles, put together from left to right: what is drawn often is drawn with little work."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


class Line:
    """Grows to the right; `strip` cuts it to the width."""

    def __init__(self, *parts: tuple[str, Style]) -> None:
        self._segments: list[Segment] = []
        self.cells = 0
        for text, style in parts:
            self.add(text, style)

    def add(self, text: str, style: Style) -> Line:
        """Put a text behind."""
        if text:
            self._segments.append(Segment(text, style))
            self.cells += cell_len(text)
        return self

    def join(self, other: Line) -> Line:
        """Put another line behind."""
        self._segments += other._segments
        self.cells += other.cells
        return self

    def gap(self, cells: int) -> Line:
        """Put blanks behind."""
        return self.add(" " * cells, Style.null())

    def upto(self, cell: int) -> Line:
        """Blanks up to a cell."""
        return self.gap(cell - self.cells)

    @property
    def text(self) -> str:
        """Without the styles."""
        return "".join(segment.text for segment in self._segments)

    def strip(self, width: int) -> Strip:
        """Exactly so wide."""
        strip = Strip(self._segments, self.cells)
        return strip.adjust_cell_length(width) if self.cells <= width else strip.crop(0, width)


def fit(text: str, cells: int) -> str:
    """A text cut or filled up to so many cells."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(text, max(0, cells - 1)) + "…" if cells > 0 else ""


def flow(items: Iterable[Line], width: int) -> list[Line]:
    """Items side by side, two blanks between them, on as many lines as it takes."""
    lines: list[Line] = []
    for item in items:
        if lines and lines[-1].cells + 2 + item.cells <= width:
            lines[-1].gap(2).join(item)
        else:
            lines.append(item)
    return lines
