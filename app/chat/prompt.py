"""From a conversation to the token ids that the engine gets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.models.chat_template import ChatTemplate
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["Prompt"]

TURN_START = "<|im_start|>"
# Whitespace, digits and letters on both sides of the seam: what a tokenizer might merge across it, it merges here.
PROBE = (f"{TURN_START}user\nA 1 \n", f"{TURN_START}\n 2b é")

NEVER = r"(?!)"


class Prompt:
    """Renders and encodes conversations, and remembers the turns of the last few it has seen.

    The token that starts a turn is matched before any other text is, so the ids of a prompt are those of its turns put
    together, and while somebody types only their own turn is encoded anew. Where this does not hold (a message spells
    out a control token, or a tokenizer merges over the seam) everything is encoded each time. The ids are always those
    of `ChatTemplate.encode`.
    """

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        """Nothing is rendered or encoded yet but the probe."""
        self._tokenizer = tokenizer
        self._template = template
        self._turns: dict[str, list[int]] = {}  # text of a turn -> its ids, least recently used first
        self._can_split = tokenizer.token_id(TURN_START) is not None and tokenizer.encode("".join(PROBE)) == [
            token for turn in PROBE for token in tokenizer.encode(turn)
        ]
        # What the template keeps apart from its own tokens: all in what people say, the special ones in replies.
        self._control = _any_of([token for token in tokenizer.added_tokens if token])
        self._special = _any_of([token for token, special in tokenizer.added_tokens.items() if token and special])

    def ids(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> list[int]:
        """Token ids of the prompt, up to where the reply begins. Raises TemplateError."""
        if not self._can_split or self._spells_control(messages):
            return self._template.encode(messages, self._tokenizer, enable_thinking=thinking)
        return [token for turn in self._render(messages, thinking) for token in self._encode(turn)]

    def history_ids(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> list[int]:
        """The ids that every next prompt will begin with, whatever is said next; none where that is not known."""
        drafts = [[*messages, {"role": "user", "content": draft}] for draft in "ab"]
        if not self._can_split or self._spells_control(messages):
            return []
        one, other = (self._render(draft, thinking) for draft in drafts)
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        return [token for turn, _ in shared for token in self._encode(turn)]

    def _render(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> list[str]:
        """The rendered prompt, turn by turn."""
        text = self._template.render(messages, enable_thinking=thinking)
        before, *turns = text.split(TURN_START)
        turns = [TURN_START + turn for turn in turns]
        while len(self._turns) > 2 * len(turns) + 8:  # this prompt and a variation of it; not every draft ever typed
            del self._turns[next(iter(self._turns))]
        return [before, *turns] if before else turns

    def _encode(self, turn: str) -> list[int]:
        ids = self._turns.pop(turn, None)
        if ids is None:
            ids = self._tokenizer.encode(turn)
        self._turns[turn] = ids
        return ids

    def _spells_control(self, messages: Sequence[Mapping[str, str]]) -> bool:
        return any(
            (self._special if message["role"] == "assistant" else self._control).search(message["content"])
            for message in messages
        )


def _any_of(tokens: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tokens)) or NEVER)
