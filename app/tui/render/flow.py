"""Plain or styled text to strips, and plain text that grows."""

from __future__ import annotations

from functools import lru_cache
from io import StringIO

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.strips import DECORATION
from qwen3_chat.app.tui.render.text import MIN_WIDTH, FlowText, clean


@lru_cache(maxsize=4)
def render_console(palette: Palette) -> Console:
    """A console that only measures and styles; it never prints."""
    return Console(
        file=StringIO(),
        force_terminal=True,
        color_system="truecolor",
        theme=palette.rich_theme(),
        width=80,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )


def flow_strips(text: Text, palette: Palette, width: int) -> list[Strip]:
    """Text wrapped to strips of exactly `width` cells, in the palette's foreground where it has no colour."""
    base = Style(color=palette.foreground) + render_console(palette).get_style(text.style)
    flow = FlowText(text.plain, spans=list(text.spans))
    lines = flow.wrap(render_console(palette), max(width, MIN_WIDTH))
    console = render_console(palette)
    strips = []
    for line in lines:
        segments = [segment for segment in line.render(console) if segment.text]
        strips.append(Strip(list(Segment.apply_style(segments, base))).adjust_cell_length(width, base))
    return strips


class GrowingText:
    """Plain text that may still grow; finished lines are wrapped once per width."""

    def __init__(self, prefix: str, style_of: str) -> None:
        """Every wrapped line starts with `prefix`; `style_of` names the palette's colour."""
        self._prefix = prefix
        self._colour = style_of
        self._lines: list[str] = [""]
        self._key: tuple[Palette, int] | None = None
        self._done: list[Strip] = []
        self._done_lines = 0

    @property
    def text(self) -> str:
        """The text so far, cleaned."""
        return "\n".join(self._lines)

    def append(self, text: str) -> None:
        """Add text at the end."""
        first, *more = clean(text).split("\n")
        self._lines[-1] += first
        self._lines.extend(more)

    def forget(self) -> None:
        """Give the strips back; they are made again when they are asked for."""
        self._key, self._done, self._done_lines = None, [], 0

    def strips(self, palette: Palette, width: int) -> list[Strip]:
        """All lines, `width` cells each."""
        if self._key != (palette, width):
            self._key, self._done, self._done_lines = (palette, width), [], 0
        for line in self._lines[self._done_lines : -1]:
            self._done.extend(self._wrap(line, palette, width))
        self._done_lines = len(self._lines) - 1
        return self._done + (self._wrap(self._lines[-1], palette, width) if self._lines[-1] else [])

    def _wrap(self, line: str, palette: Palette, width: int) -> list[Strip]:
        style = Style(color=getattr(palette, self._colour), italic=True)
        prefix = Strip([Segment(self._prefix, Style(color=palette.faint) + DECORATION)], len(self._prefix))
        inner = max(1, width - len(self._prefix))
        return [
            Strip.join([prefix, strip]).adjust_cell_length(width)
            for strip in flow_strips(Text(line, style=style), palette, inner)
        ]
