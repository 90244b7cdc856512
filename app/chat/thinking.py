"""The thinking switch that a person writes into a message, and the budget that closes a think block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.parts import Part
    from qwen3_chat.engine import Generation
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["ThinkingBudget", "soft_switch"]

# What Qwen3 was trained to read where its thinking was cut off.
CLOSING = (
    "Considering the limited time by the user, I have to give the solution based on the thinking directly now.\n"
    "</think>\n\n"
)
_SWITCH = re.compile(r"(?<!\S)/(no_)?think(?!\S)")


def soft_switch(text: str) -> bool | None:
    """What `/think` and `/no_think` in a message ask for, the last one winning; None: it holds neither."""
    switches = _SWITCH.findall(text)
    return None if not switches else not switches[-1]


class ThinkingBudget:
    """Says when to close the think block of one reply, and with which tokens."""

    def __init__(self, tokenizer: Tokenizer, limit: int | None) -> None:
        """`limit`: tokens of thinking; None: as many as the model likes. It may change while the reply runs."""
        self.limit = limit
        self._tokenizer = tokenizer
        self._forced = False

    def heed(self, generation: Generation, thinking_tokens: int, part: Part) -> None:
        """Close the block, once, if the budget is spent. One that the model closes in the meantime is left alone."""
        if self._forced or part != "thinking" or self.limit is None or thinking_tokens < self.limit:
            return
        self._forced = True
        generation.force(self._tokenizer.encode(CLOSING), unless=self._tokenizer.think_close)
