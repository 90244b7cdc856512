"""Find in the chat: a line to type words into, how many there are, and steps from one to the next."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.search import Query
from qwen3_chat.app.tui.widgets.transcript import Find, Transcript


class FindBar(Horizontal):
    """One line under the transcript; shown while words are looked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", "Next", show=False),
        Binding("up,shift+enter", "step(-1)", "Previous", show=False),
    ]
    DEFAULT_CSS = """
    FindBar { height: 1; padding: 0 1; display: none; background: $surface; }
    FindBar.-open { display: block; }
    FindBar > #find-sign { width: auto; color: $accent; text-style: bold; }
    FindBar > Input, FindBar > Input:focus {
        width: 1fr; height: 1; border: none; padding: 0; background: $surface; background-tint: $surface 0%;
    }
    FindBar > #find-count { width: auto; color: $foreground 60%; }
    """

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        self._transcript = transcript
        self._chosen: Find | None = None

    def compose(self) -> ComposeResult:
        """Sign, words, count."""
        yield Static("find ", id="find-sign", markup=False)
        yield Input(placeholder="words in this chat", compact=True, select_on_focus=True)
        yield Static("", id="find-count", markup=False)

    @property
    def is_open(self) -> bool:
        """Whether words are looked for."""
        return self.has_class("-open")

    def open(self) -> None:
        """Show it with the words of the last time, ready to be typed over."""
        self.add_class("-open")
        words = self.query_one(Input)
        words.focus()
        self._search(words.value)

    def close(self) -> bool:
        """Hide it and take the marks away; the view stays. False if it was not open."""
        if not self.is_open:
            return False
        self.remove_class("-open")
        self._chosen = None
        self._transcript.mark(None)
        return True

    @on(Input.Changed)
    def _words_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._search(event.value)

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_step(1)

    def _search(self, words: str) -> None:
        """Begin with the first find from the top of the view on; if there is none, with the newest."""
        query = Query(words)
        finds = self._transcript.find(query)
        seen = set(self._transcript.from_view())
        place = next((place for place, (entry, _) in enumerate(finds) if entry in seen), len(finds) - 1)
        self._choose(query, finds, place)

    def action_step(self, step: int) -> None:
        """To the next find, or one back; past the ends it goes round. The chat may have grown meanwhile."""
        query = Query(self.query_one(Input).value)
        finds = self._transcript.find(query)
        here = (self._chosen[0].current, self._chosen[1]) if self._chosen is not None else None
        place = finds.index(here) + step if here in finds else 0
        self._choose(query, finds, place % len(finds) if finds else -1)

    def _choose(self, query: Query, finds: list[Find], place: int) -> None:
        self._chosen = finds[place] if finds else None
        if self._chosen is not None:
            self._transcript.scroll_to_find(self._chosen)
        self._transcript.mark(None if query.empty else query, self._chosen)
        self.query_one("#find-count", Static).update(Content(self._count(query, len(finds), place + 1)))

    @staticmethod
    def _count(query: Query, finds: int, place: int) -> str:
        if query.empty:
            return "  esc closes"
        if not finds:
            return "  not found · esc closes"
        return f"  {format.exact(place)} of {format.exact(finds)} · ↓ next · ↑ before · esc closes"
