"""One reply on its way from the turn to its widget, no faster than the screen can take it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen3_chat.app.tui import format

if TYPE_CHECKING:
    from qwen3_chat.app.chat.turn import Turn
    from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage

_SHORTEST = 0.1  # s between two flushes: words flow, and decoding, which waits for its slowest thread, loses little
_FOLDED = 0.2  # s between two flushes of folded thinking, of which only the time and the tokens are shown
_CALLING = "writing a call"
_SHARE = 5.0  # a flush that cost t is followed by this many t of quiet: at most a sixth of one core


class ReplyStream:
    """Polls a turn and flushes its text into the reply's widget. Tokens wait here, never in the engine."""

    def __init__(
        self,
        turn: Turn,
        entry: AssistantMessage,
        shown: Callable[[AssistantMessage], bool],
        clock: Callable[[], float],
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        """`shown` says whether the entry is in view; what nobody sees is kept, not rendered.

        `work` is the CPU time of this thread: what a flush costs is what it computes, not how long it waits for a core
        that the engine keeps busy.
        """
        self.turn = turn
        self._entry = entry
        self._shown = shown
        self._clock = clock
        self._work = work
        self._thinking: list[str] = []
        self._answer: list[str] = []
        self._next_flush = self._last_flush = 0.0
        self.flushes = 0

    @property
    def entry(self) -> AssistantMessage:
        """The reply's widget; another one after it has been scrolled far out of view."""
        return self._entry.current

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
        elif self.turn.phase == "tool_call" and self.entry.waiting != _CALLING:
            self.entry.waiting = _CALLING
            self.entry.changed()
        elif self._due and self._shown(self.entry):
            self._flush()
        return False

    @property
    def _due(self) -> bool:
        if any(self._answer) or (self.entry.unfolded and any(self._thinking)):
            return self._clock() >= self._next_flush
        return any(self._thinking) and self._clock() >= self._last_flush + _FOLDED

    def _show_prefill(self) -> None:
        done, total = self.turn.prefill
        waiting = f"reading the prompt, {format.exact(done)} of {format.exact(total)} tok" if total else "reading"
        if waiting != self.entry.waiting:
            self.entry.waiting = waiting
            self.entry.changed()

    def _flush(self) -> None:
        now, work = self._clock(), self._work()
        self._next_flush, self._last_flush = now + _SHORTEST, now
        self.flushes += 1
        self.entry.append("".join(self._thinking), "".join(self._answer), self.turn.stats)
        self._thinking.clear()
        self._answer.clear()
        if self.entry.is_attached:
            self.entry.call_after_refresh(self._painted, work)

    def _painted(self, work: float) -> None:
        """The screen has caught up: what this flush really cost decides when the next may come."""
        self._next_flush = max(self._next_flush, self._clock() + _SHARE * (self._work() - work))
