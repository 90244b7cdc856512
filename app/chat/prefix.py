"""Why a prompt was not found in the KV cache from end to end: where it parts from what was held, and in whose words.

The engine says how many tokens it could keep; what stands at that place is read from the tokens themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["Prefix", "Span", "explain", "spans"]

TURN = "<|im_start|>"  # begins every message of a Qwen3 prompt, and nothing that a person writes becomes it
_ROLE = 16  # tokens in which the name of a role ends


@dataclass(frozen=True, slots=True)
class Span:
    """One message in the context, with all that the template puts around it. Positions of tokens."""

    role: str  # as the template calls it
    start: int
    stop: int

    @property
    def tokens(self) -> int:
        """How many."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Prefix:
    """What one prompt found in its cache. Tokens."""

    held: int  # by the cache, before
    reused: int
    prompt: int
    why: str  # the rest of what was held was of no use; "" if there was none, or none was needed

    @property
    def lost(self) -> int:
        """Held, and forgotten for this prompt."""
        return self.held - self.reused


def spans(ids: Sequence[int], tokenizer: Tokenizer) -> tuple[Span, ...]:
    """The messages of a context, from first to last; without Qwen3's marks it is a single nameless one."""
    mark = tokenizer.token_id(TURN)
    starts = [at for at, id in enumerate(ids) if id == mark]
    if not starts:
        return (Span("", 0, len(ids)),) if ids else ()
    starts[0] = 0  # what a template puts before its first message
    return tuple(
        Span(_role(ids[start + 1 : min(start + _ROLE, stop)], tokenizer), start, stop)
        for start, stop in pairwise([*starts, len(ids)])
    )


def explain(held: Sequence[int], prompt: Sequence[int], reused: int, tokenizer: Tokenizer) -> Prefix:
    """What `prompt` found in a cache that held the tokens `held`, of which the engine could reuse so many."""
    found = Prefix(len(held), reused, len(prompt), "")
    if not held:
        return Prefix(0, reused, len(prompt), "the cache was empty")
    if reused == len(held) or reused >= len(prompt) - 1:  # the last token is always computed: its logits are needed
        return found
    return Prefix(len(held), reused, len(prompt), _parting(held, reused, tokenizer))


def _parting(held: Sequence[int], at: int, tokenizer: Tokenizer) -> str:
    """In words, what the cache held at the first token that the prompt has not."""
    messages = spans(held, tokenizer)
    here = next((number for number, span in enumerate(messages) if at < span.stop), len(messages) - 1)
    role, start = messages[here].role, messages[here].start
    number = sum(span.role == role for span in messages[: here + 1])
    if at - start <= 1 and at > 0:
        return f"what followed message {here} is another"
    if role == "system":
        return "the system prompt is another"
    if role == "user":
        return f"question {number} is another"
    if role == "assistant":
        thinking = tokenizer.think_open is not None and tokenizer.think_open in held[start : at + 1]
        if thinking and tokenizer.think_close not in held[start:at]:
            return f"the thinking of answer {number} is not sent again"
        return f"answer {number} is another version"
    return f"message {here + 1} is another"


def _role(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    return tokenizer.decode(ids).partition("\n")[0].strip()
