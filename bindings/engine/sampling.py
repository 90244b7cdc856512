"""How the next token is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qwen3_chat.engine import _core
from qwen3_chat.engine.arguments import integer, real, token_ids

__all__ = ["SamplingParams"]

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is drawn from the logits.

    The order: repetition penalty, presence penalty, temperature, top_k, top_p, min_p, draw. The token drawn at a
    position depends on the logits, the seed and the position alone. Raises ConfigError naming a field out of range.
    """

    temperature: float = 0.6  # 0 = greedy, ties to the lowest id
    top_k: int = 20  # 0 = off
    top_p: float = 0.95  # 1 = off
    min_p: float = 0.0  # 0 = off; relative to the most likely token
    presence_penalty: float = 0.0  # subtracted once from the logit of every token that the reply already holds
    repetition_penalty: float = 1.0  # divides (multiplies if negative) the logit of every token of prompt and reply
    seed: int = 0  # 0 .. 2**64 - 1
    max_new_tokens: int | None = None  # None = up to the context's end
    stop_ids: Sequence[int] | None = None  # None = the checkpoint's end tokens, [] never stops
    vocab_limit: int | None = None  # ids at or above it are never drawn
    top_logprobs: int = 0  # alternatives that every Token carries, at most 20

    def __post_init__(self) -> None:
        """Check every field; the engine itself judges the ranges."""
        if self.stop_ids is not None:
            object.__setattr__(self, "stop_ids", tuple(token_ids(self.stop_ids, "stop_ids").tolist()))
        self.native()

    def native(self) -> _core.SamplingParams:
        """The same for the compiled engine."""
        return _core.SamplingParams(
            temperature=real(self.temperature, "temperature"),
            top_k=integer(self.top_k, "top_k", 0, _INT32_MAX),
            top_p=real(self.top_p, "top_p"),
            min_p=real(self.min_p, "min_p"),
            presence_penalty=real(self.presence_penalty, "presence_penalty"),
            repetition_penalty=real(self.repetition_penalty, "repetition_penalty"),
            seed=integer(self.seed, "seed", 0, 2**64 - 1),
            max_new_tokens=_optional(self.max_new_tokens, "max_new_tokens", 2**63 - 1),
            stop_ids=None if self.stop_ids is None else list(self.stop_ids),
            vocab_limit=_optional(self.vocab_limit, "vocab_limit", _INT32_MAX),
            top_logprobs=integer(self.top_logprobs, "top_logprobs", 0, _core.MAX_TOP_LOGPROBS),
        )


def _optional(value: int | None, name: str, high: int) -> int | None:
    return None if value is None else integer(value, name, 1, high)
