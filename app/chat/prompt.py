"""From a conversation to the token ids that the engine gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.models.chat_template import ChatTemplate
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["Prompt"]

TURN_START = "<|im_start|>"
# Whitespace, digits and letters on both sides of the seam: what a tokenizer might merge across it, it merges here.
PROBE = (f"{TURN_START}user\nA 1 \n", f"{TURN_START}\n 2b é")


class Prompt:
    """Renders and encodes conversations, and remembers the turns of the last few it has seen.

    The token that starts a turn is matched before any other text is, so the ids of a prompt are those of its turns put
    together, and while somebody types only their own turn is encoded anew. A tokenizer for which this does not hold is
    noticed, and everything is encoded each time.
    """

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        """Nothing is rendered or encoded yet but the probe."""
        self._tokenizer = tokenizer
        self._template = template
        self._turns: dict[str, list[int]] = {}  # text of a turn -> its ids, least recently used first
        self._can_split = tokenizer.token_id(TURN_START) is not None and tokenizer.encode("".join(PROBE)) == [
            token for turn in PROBE for token in tokenizer.encode(turn)
        ]

    def text(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> str:
        """The rendered prompt, up to where the reply begins. Raises TemplateError."""
        return self._template.render(messages, add_generation_prompt=True, enable_thinking=thinking)

    def ids(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> list[int]:
        """Token ids of the rendered prompt. Raises TemplateError."""
        turns = self._split(self.text(messages, thinking))
        ids = [token for turn in turns for token in self._encode(turn)]
        while len(self._turns) > 2 * len(turns) + 8:  # this prompt and a variation of it; not every draft ever typed
            del self._turns[next(iter(self._turns))]
        return ids

    def _split(self, text: str) -> list[str]:
        if not self._can_split:
            return [text]
        before, *turns = text.split(TURN_START)
        return [before, *(TURN_START + turn for turn in turns)] if before else [TURN_START + turn for turn in turns]

    def _encode(self, turn: str) -> list[int]:
        ids = self._turns.pop(turn, None)
        if ids is None:
            ids = self._tokenizer.encode(turn)
        self._turns[turn] = ids
        return ids
