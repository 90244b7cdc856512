"""Which sampling settings hold: flag, else the checkpoint's generation_config.json, else the mode's default."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.options import SamplingOptions

if TYPE_CHECKING:
    from qwen3_chat.engine import SamplingParams
    from qwen3_chat.models.config import GenerationDefaults

__all__ = ["draw_seed", "resolve"]

SEED_BITS = 32  # short enough to type again, and exact in any JSON reader

# Qwen3's published recommendations for its two modes.
THINKING = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0}
NOT_THINKING = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.0}
NEUTRAL = {"presence_penalty": 0.0, "repetition_penalty": 1.0}


def draw_seed() -> int:
    """A seed nobody chose."""
    return secrets.randbits(SEED_BITS)


def resolve(
    options: SamplingOptions, defaults: GenerationDefaults, *, thinking: bool, vocab_limit: int
) -> SamplingParams:
    """The engine's settings for one reply. Ids from `vocab_limit` on are padding rows and are never drawn."""
    from qwen3_chat.engine import SamplingParams

    def pick(name: str) -> float:
        for source in (options, defaults):
            value: float | None = getattr(source, name)
            if value is not None:
                return value
        return {**(THINKING if thinking else NOT_THINKING), **NEUTRAL}[name]

    return SamplingParams(
        temperature=pick("temperature"),
        top_k=int(pick("top_k")),
        top_p=pick("top_p"),
        min_p=pick("min_p"),
        presence_penalty=pick("presence_penalty"),
        repetition_penalty=pick("repetition_penalty"),
        seed=draw_seed() if options.seed is None else options.seed,
        max_new_tokens=options.max_tokens,
        vocab_limit=vocab_limit,
    )
