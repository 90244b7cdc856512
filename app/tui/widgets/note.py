"""A note in the transcript: an error, or something the app did, in words that stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.entry import Entry

Kind = Literal["error", "warning", "info"]
_SIGNS: dict[Kind, str] = {"error": "✗", "warning": "!", "info": "·"}


class Note(Entry):
    """What happened, why, and what to do next. Never only a toast."""

    def __init__(self, kind: Kind, what: str, why: str = "", what_next: str = "") -> None:
        super().__init__()
        self.kind = kind
        self.what = clean(what)
        self.why = clean(why)
        self.what_next = clean(what_next)

    def _copy(self) -> Self:
        return type(self)(self.kind, self.what, self.why, self.what_next)

    def _colour(self, palette: Palette) -> str:
        return {"error": palette.error, "warning": palette.warning, "info": palette.muted}[self.kind]

    @property
    def sign(self) -> tuple[str, str]:
        """One per kind."""
        return _SIGNS[self.kind], self._colour(self.palette)

    @property
    def sources(self) -> Sequence[str]:
        """All of it."""
        return ("\n".join(part for part in (self.what, self.why, self.what_next) if part),)

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """What in bold, why, and what next after an arrow."""
        strips = flow_strips(
            Text(self.what, Style(color=self._colour(palette), bold=self.kind != "info")), palette, width
        )
        if self.why:
            strips += flow_strips(Text(self.why), palette, width)
        if self.what_next:
            strips += flow_strips(Text(f"→ {self.what_next}", Style(color=palette.muted)), palette, width)
        self._source_lines[0] = range(len(strips))
        return strips
