"""Samples the session a few times a second and says what the status line and the engine panel show."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.engine_view import EngineView, look
from qwen3_chat.app.tui.widgets.status_line import Activity, Status
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import ReplyStats
    from qwen3_chat.app.tui.loader import Stage
    from qwen3_chat.app.tui.session import Session

_SAMPLES = 60  # of the speed


class Meters:
    """Keeps what must outlive a reply: its last figures, and the speeds of the last seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stats: ReplyStats | None = None
        self._speeds: deque[float] = deque(maxlen=_SAMPLES)
        self._last: tuple[float, int] | None = None  # time in s and tokens of the newest sample

    def sample(self, now: float) -> None:
        """Note the speed since the last sample."""
        turn = self._session.turn
        if turn is None or turn.done:
            self._last = None
            self._stats = (turn.message.stats if turn is not None else None) or self._stats
            return
        self._stats = turn.stats or self._stats
        tokens = turn.stats.new_tokens if turn.stats is not None else 0
        if self._last is not None and tokens > 0 and now > self._last[0]:
            self._speeds.append((tokens - self._last[1]) / (now - self._last[0]))
        self._last = (now, tokens)

    def forget(self) -> None:
        """A new chat has no figures yet."""
        self._stats, self._last = None, None
        self._speeds.clear()

    def status(self, message: str, beat: bool) -> Status:
        """What the status line shows now."""
        session = self._session
        activity, detail = self._activity()
        stats = self._stats
        status = Status(
            activity=activity,
            detail=detail,
            beat=beat or activity == "ready",
            tokens_per_s=stats.tokens_per_s if stats is not None else None,
            first_token_s=stats.first_token_s if stats is not None else None,
            speeds=tuple(self._speeds),
            message=message,
        )
        if session.model is None:
            return status
        try:
            memory = session.model.engine.memory()
        except Qwen3Error:  # an engine that died cannot be asked; the reply's note says that it did
            return status
        return replace(
            status,
            kv_tokens=session.kv_tokens,
            context=session.model.context,
            kv_used=memory.kv_used,
            kv_budget=memory.kv_budget,
        )

    def engine(self) -> EngineView | None:
        """What the engine panel shows now; None without a model."""
        model = self._session.model
        try:
            return look(model.engine, self._stats, tuple(self._speeds)) if model is not None else None
        except Qwen3Error:
            return None

    def _activity(self) -> tuple[Activity, str]:
        session = self._session
        if session.model is None:
            if not session.loader.running and session.loader.error is not None:
                return "failed", ""
            return "loading", _progress(session.loader.stage)
        turn = session.turn
        if turn is None or turn.done or turn.phase == "done":
            return "ready", ""
        if turn.phase == "prefill":
            done, total = turn.prefill
            return "prefill", f"{format.short(done)}/{format.short(total)}" if total else ""
        return turn.phase, ""


def _progress(stage: Stage | None) -> str:
    """How far a load is; warming up is one step, not bytes."""
    if stage is None or stage.total == 0:
        return "…"
    share = format.percent(stage.done, stage.total)
    return f"{share} of {format.size(stage.total)}" if stage.total > 1 else share
