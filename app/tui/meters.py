"""Samples the session a few times a second and says what the status line and the engine panel show."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.memory_speed import MemorySpeed
from qwen3_chat.app.chat.prefix import Span, spans
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.engine_view import EngineView, KvView, ReplyFigures, look, on_cpu, segments_of
from qwen3_chat.app.tui.widgets.status_line import Activity, Status
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import ReplyStats
    from qwen3_chat.app.chat.turn import Turn
    from qwen3_chat.app.tui.loader import Stage
    from qwen3_chat.app.tui.session import Session

_SAMPLES = 60  # of the speed
_STEPS = 512  # decode steps of a reply that its slowest one is looked for in
_HISTORY = 16  # samples of the layers' times


class Meters:
    """Keeps what must outlive a reply: its last figures, and the speeds of the last seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stats: ReplyStats | None = None
        self._speeds: deque[float] = deque(maxlen=_SAMPLES)
        self._last: tuple[float, int] | None = None  # time in s and tokens of the newest sample
        self._history: deque[tuple[float, ...]] = deque(maxlen=_HISTORY)
        self._seen_step = 0  # ns of the profile that the newest of them is from
        self._memory_speed: MemorySpeed | None = None
        self._prompt: tuple[Turn, tuple[Span, ...]] | None = None  # the messages of a turn's prompt
        self._held: tuple[int, Turn | None, tuple[Span, ...]] | None = None  # tokens in the cache, and what they are

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
        """What the engine panel shows now; None without a model. Called while it is open, some times a second."""
        model = self._session.model
        if model is None:
            return None
        try:
            kv = self._kv()
            if kv is None:
                return None
            view = look(model.engine, self._reply(), kv, tuple(self._history), self._limit())
        except Qwen3Error:
            return None
        if view.step_ns and view.step_ns != self._seen_step:
            self._seen_step = view.step_ns
            self._history.append(view.layer_totals)
            view = replace(view, history=tuple(self._history))
        return view

    def _limit(self) -> float | None:
        """The machine's memory speed, which is measured when there is nothing else to do."""
        model = self._session.model
        if model is None or not on_cpu(model.engine):
            return None
        if self._memory_speed is None:
            from qwen3_chat.engine import measure_reads

            self._memory_speed = MemorySpeed(lambda: self._session.at_rest, measure_reads)
        return self._memory_speed.poll(max(model.engine.threads, len(model.engine.devices)))

    def _reply(self) -> ReplyFigures:
        turn = self._session.turn
        steps: tuple[int, ...] = ()
        if turn is not None and self._stats is not None:
            # The first token came with the prompt's last step, and of the end token nothing is kept.
            decoded = max(0, self._stats.new_tokens - 1 - (turn.message.finish_reason == "stop"))
            told = turn.message.trace.step_ns
            steps = tuple(told[max(0, len(told) - min(decoded, _STEPS)) :])
        return ReplyFigures(self._stats, tuple(self._speeds), steps)

    def _kv(self) -> KvView | None:
        session, model = self._session, self._session.model
        if model is None:
            return None
        memory = model.engine.memory()
        prefix = session.turn.prefix if session.turn is not None else None
        return KvView(
            segments=segments_of(self._spans(), prefix.reused if prefix is not None else 0),
            context=model.context,
            prefix=prefix,
            used=memory.kv_used,
            budget=memory.kv_budget,
            pages_used=memory.kv_pages_used,
            pages_total=memory.kv_pages_total,
        )

    def _spans(self) -> tuple[Span, ...]:
        """The messages whose tokens the cache holds."""
        session, model, turn = self._session, self._session.model, self._session.turn
        count = session.kv_tokens
        if model is None:
            return ()
        if turn is not None and session.busy:  # the prompt stays as it is, and its last message grows
            if self._prompt is None or self._prompt[0] is not turn:
                self._prompt = turn, spans(turn.prompt_ids, model.tokenizer)
            return _cut(self._prompt[1], count)
        if self._held is None or self._held[:2] != (count, turn):
            self._held = count, turn, spans(session.kv_ids, model.tokenizer)
        return self._held[2]

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


def _cut(messages: tuple[Span, ...], count: int) -> tuple[Span, ...]:
    """The messages of a prompt as far as `count` tokens of its context go; the last one may have grown."""
    held = [replace(span, stop=min(span.stop, count)) for span in messages if span.start < count]
    if held and count > messages[-1].stop:
        held[-1] = replace(held[-1], stop=count)
    return tuple(held)
