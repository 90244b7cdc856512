"""One reply on its way from the turn to its widget, no faster than the screen can take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen3_chat.app.tui import format

if TYPE_CHECKING:
    from qwen3_chat.app.chat.turn import Turn
    from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage

_SHORTEST = 0.04  # s between two flushes
_SHARE = 3.0  # a flush that cost t is followed by at least this many t of quiet: about a quarter of one core


class ReplyStream:
    """Polls a turn and flushes its text into the reply's widget. Tokens wait here, never in the engine."""

    def __init__(
        self, turn: Turn, entry: AssistantMessage, shown: Callable[[AssistantMessage], bool], clock: Callable[[], float]
    ) -> None:
        """`shown` says whether the entry is in view; what nobody sees is kept, not rendered."""
        self.turn = turn
        self.entry = entry
        self._shown = shown
        self._clock = clock
        self._thinking: list[str] = []
        self._answer: list[str] = []
        self._next_flush = 0.0
        self.flushes = 0

    def poll(self) -> bool:
        """Take what has come, paint it if it is time. True once the reply is complete and painted."""
        update = self.turn.poll()
        self._thinking.append(update.thinking_delta)
        self._answer.append(update.answer_delta)
        if update.done or self.turn.done:
            self._flush()
            return True
        if self.turn.phase == "prefill":
            self._show_prefill()
        elif self._clock() >= self._next_flush and any((*self._thinking, *self._answer)) and self._shown(self.entry):
            self._flush()
        return False

    def _show_prefill(self) -> None:
        done, total = self.turn.prefill
        waiting = f"reading the prompt, {format.exact(done)} of {format.exact(total)} tok" if total else "reading"
        if waiting != self.entry.waiting:
            self.entry.waiting = waiting
            self.entry.changed()

    def _flush(self) -> None:
        start = self._clock()
        self._next_flush = start + _SHORTEST
        self.flushes += 1
        self.entry.append("".join(self._thinking), "".join(self._answer), self.turn.stats)
        self._thinking.clear()
        self._answer.clear()
        self.entry.call_after_refresh(self._painted, start)

    def _painted(self, start: float) -> None:
        """The screen has caught up: what this flush really cost decides when the next may come."""
        now = self._clock()
        self._next_flush = max(self._next_flush, now + _SHARE * (now - start))
