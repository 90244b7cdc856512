"""Reads the visible conversation into the KV cache while nobody waits, so that the next reply starts at once.

A reply's thinking is in the cache and not in the next prompt: what the two share ends where the last reply began. Here
the answer as it will be sent is read again, in the time a person takes to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.engine import Generation, KVCache

__all__ = ["IdlePrefill"]

WAIT_S = 0.05  # between looks at whether the engine has let go


class IdlePrefill:
    """A prefill in the background. `cancel` it, or `stop` it and await `done`, before the cache is used otherwise."""

    def __init__(self, model: ChatModel, conversation: Conversation, cache: KVCache, thinking: bool | None) -> None:
        """Begin, if there is anything to read and room for it; returns at once. No reply may be live on the cache.

        A failure is nobody's concern: the next reply meets it, too, and says so.
        """
        from qwen3_chat.engine import Qwen3Error, SamplingParams

        self._generation: Generation | None = None
        try:
            ids = model.history_ids(conversation.render_messages(), model.thinks(thinking))
            if ids and len(ids) + 1 < model.context:
                once = SamplingParams(temperature=0.0, max_new_tokens=1)  # a token that is drawn is not yet cached
                self._generation = model.engine.generate(ids, cache, once, background=True)
        except Qwen3Error:
            pass

    @property
    def done(self) -> bool:
        """Nothing is left to read; the cache is free."""
        return self._generation is None or self._generation.done

    def stop(self) -> None:
        """Ask for the cache; returns at once. What was read stays in it."""
        if self._generation is not None:
            self._generation.cancel()

    def cancel(self) -> None:
        """Give the cache back; what was read stays in it. Returns when the engine has let go, after a step at most."""
        if self._generation is None:
            return
        self._generation.cancel()
        while not self._generation.done:
            self._generation.drain()
            self._generation.wait(WAIT_S)
        self._generation = None
