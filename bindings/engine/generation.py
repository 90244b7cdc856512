"""One reply in the making, and what comes out of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from qwen3_chat.engine import _core
from qwen3_chat.engine.arguments import Ids, integer, token_ids
from qwen3_chat.engine.errors import ConfigError, Qwen3Error
from qwen3_chat.engine.kv_cache import KVCache
from qwen3_chat.engine.sampling import SamplingParams

__all__ = ["FinishReason", "Generation", "GenerationStats", "Token"]

FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "error"]

_SLICE_S = 0.1  # longest wait in one piece: Ctrl-C is noticed in between


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply."""

    id: int
    logprob: float  # natural log, of the model's own distribution (before penalties and temperature)
    top: tuple[tuple[int, float], ...]  # the likeliest (id, logprob), best first
    ns: int  # duration of the step that made it
    index: int  # position in the context
    stop: bool  # an end token: the last one, no part of the text and not in the cache


@dataclass(frozen=True, slots=True)
class GenerationStats:
    """What a reply has cost so far."""

    prompt_tokens: int
    reused_tokens: int  # found in the cache
    prefill_tokens: int  # of the rest: evaluated so far
    new_tokens: int
    first_token_s: float  # from the request to the first token; 0 = none yet
    prefill_s: float  # spent in steps that evaluated the prompt
    decode_s: float  # from the first token to the latest one

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed; 0 before the second token."""
        return (self.new_tokens - 1) / self.decode_s if self.new_tokens > 1 and self.decode_s > 0 else 0.0

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prefill speed; 0 before anything was evaluated."""
        return self.prefill_tokens / self.prefill_s if self.prefill_s > 0 else 0.0


class Generation:
    """One reply, made by `Engine.generate`. Iterate over its tokens, or drain them as they come.

    It keeps its engine and cache alive. Dropping it cancels the reply and waits until the engine has let go.
    """

    def __init__(self, native: _core.Generation, cache: KVCache) -> None:
        """Wrap what the compiled engine made; `Engine.generate` calls this."""
        self._native = native
        self._cache = cache

    @property
    def cache(self) -> KVCache:
        """The cache it writes to."""
        return self._cache

    def __iter__(self) -> Iterator[Token]:
        """Itself: tokens are handed out once."""
        return self

    def __next__(self) -> Token:
        """Wait for the next token. Raises the typed error of a reply that failed, after its last token."""
        while True:
            ended = self._native.done()  # asked before draining, so that nothing can slip in between
            events = self._native.drain(1)
            if events:
                return Token(*events[0])
            if ended:
                self._native.rethrow_error()
                raise StopIteration
            self._native.wait(_SLICE_S)

    def drain(self, max: int | None = None) -> list[Token]:
        """The tokens that are ready, at most `max`. Never blocks."""
        if max is not None and max < 0:
            raise ConfigError(f"max = {max}: expected a number of tokens")
        events = self._native.drain() if max is None else self._native.drain(max)
        return [Token(*event) for event in events]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a token is ready or the reply has ended (True), or until `timeout` seconds passed (False)."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if self._native.wait(min(_SLICE_S, max(left, 0.0))):
                return True
            if left <= _SLICE_S:
                return False

    def cancel(self) -> None:
        """Stop before the next step. Returns at once; the tokens made so far stay, in the cache too."""
        self._native.cancel()

    def update(self, sampling: SamplingParams) -> None:
        """Draw differently from the next token on."""
        self._native.update(sampling.native())

    def force(self, ids: Ids, unless: int | None = None) -> None:
        """Make these the next tokens, instead of drawn ones.

        Not if the reply holds the token `unless` when they are due: the engine goes on while its caller decides.
        Raises ConfigError for an id outside the vocabulary.
        """
        self._native.force(token_ids(ids), None if unless is None else integer(unless, "unless", 0, 2**31 - 1))

    @property
    def done(self) -> bool:
        """The reply has ended. Tokens may still be waiting: read this first, then drain."""
        return self._native.done()

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended; None while it runs."""
        return self._native.finish_reason()

    @property
    def error(self) -> Qwen3Error | None:
        """The error behind finish_reason "error"."""
        try:
            self._native.rethrow_error()
        except Qwen3Error as error:
            return error
        return None

    @property
    def reused(self) -> int:
        """Prompt tokens found in the cache."""
        return self._native.stats().reused_tokens

    @property
    def prefill_total(self) -> int:
        """Prompt tokens to evaluate, reused ones not counted."""
        stats = self._native.stats()
        return stats.prompt_tokens - stats.reused_tokens

    @property
    def prefill_done(self) -> int:
        """Prompt tokens evaluated so far, of prefill_total."""
        return self._native.stats().prefill_tokens

    @property
    def stats(self) -> GenerationStats:
        """What the reply has cost so far."""
        stats = self._native.stats()
        return GenerationStats(
            prompt_tokens=stats.prompt_tokens,
            reused_tokens=stats.reused_tokens,
            prefill_tokens=stats.prefill_tokens,
            new_tokens=stats.new_tokens,
            first_token_s=stats.first_token_ns / 1e9,
            prefill_s=stats.prefill_ns / 1e9,
            decode_s=stats.decode_ns / 1e9,
        )
