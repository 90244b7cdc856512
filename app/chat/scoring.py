"""Reads a stored reply anew and measures every token of it: what was made by an older program, or typed by hand."""

from __future__ import annotations

import threading
from itertools import takewhile
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.trace import TokenTrace
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.trace import Top
    from qwen3_chat.engine import KVCache

__all__ = ["Scoring"]

_CHUNK = 32  # tokens of one step: whoever wants the engine waits no longer than that


class Scoring:
    """One reply, on a thread of its own and a cache of its own. Ask for `done` before the engine is used otherwise.

    When done, `trace` tells of every token; it is None, and `error` says why, if that could not be measured.
    """

    def __init__(
        self, model: ChatModel, conversation: Conversation, message: Message, held: KVCache | None, alternatives: int
    ) -> None:
        """Begin; returns at once. `held`: an idle cache that may share the beginning of the prompt.

        Raises ValueError if the tokens are another model's, TemplateError, DeviceError.
        """
        if message.model not in (None, model.name):
            raise ValueError(f"this reply is {message.model}'s: {model.name} counts in other tokens")
        self.message = message
        self.trace: TokenTrace | None = None
        self.error: Qwen3Error | None = None
        self.measured = 0  # tokens of the reply
        self._model, self._alternatives = model, alternatives
        self._prompt = model.prompt_ids(conversation.render_messages(upto=message.id), model.thinks(message.thought))
        self._ids = list(message.token_ids)
        self._cache, self._read = _shared(model, held, self._prompt)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """The engine is free again."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Ask for the engine; returns at once."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until the engine is free."""
        self._thread.join()

    def _run(self) -> None:
        try:
            rows = self._rows()
        except Qwen3Error as error:
            self.error = error
            return
        if rows is not None:
            step_ns = [*self.message.trace.step_ns, *([0] * len(rows))][: len(rows)]
            self.trace = TokenTrace([row[0] for row in rows], step_ns, [row[1] for row in rows])

    def _rows(self) -> list[tuple[float, Top]] | None:
        """Log-probability and alternatives of every token of the reply; None if stopped."""
        from qwen3_chat.engine import StepRequest

        engine = self._model.engine
        before, last = len(self._prompt) - 1, [*self._prompt, *self._ids]
        rows: list[tuple[float, Top]] = []
        at = self._read
        while at < len(last) - 1:
            if self._stopped.is_set():
                return None
            stop = min(at + _CHUNK, before if at < before else len(last) - 1)
            wanted = at >= before
            (logits,) = engine.step([StepRequest(last[at:stop], self._cache, "all" if wanted else "none")])
            if wanted and logits is not None:
                rows += _measure(logits, last[at + 1 : stop + 1], self._model.tokenizer.vocab_size, self._alternatives)
                self.measured = len(rows)
            at = stop
        return rows


def _shared(model: ChatModel, held: KVCache | None, prompt: list[int]) -> tuple[KVCache, int]:
    """A cache for the prompt, and how much of it is there: the pages of `held`, as far as it holds the same."""
    if held is None or held.busy:
        return model.new_cache(), 0
    same = takewhile(lambda pair: pair[0] == pair[1], zip(held.tokens, prompt[:-1], strict=False))
    count = sum(1 for _ in same)
    return held.fork(count), count


def _measure(
    logits: npt.NDArray[np.float32], ids: list[int], vocabulary: int, alternatives: int
) -> list[tuple[float, Top]]:
    """As the sampler does for a token that it draws: over the ids that are no padding, before any setting."""
    import numpy as np

    scores = logits[:, :vocabulary].astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    count = min(alternatives, vocabulary)
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    rows: list[tuple[float, Top]] = []
    for row, likeliest, id in zip(scores, best, ids, strict=True):
        order = sorted(likeliest.tolist(), key=lambda one: (-row[one], one))
        rows.append((float(row[id]), tuple((one, float(row[one])) for one in order)))
    return rows
