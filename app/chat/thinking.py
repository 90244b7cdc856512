"""The thinking switch that a person writes into a message, and the budget that closes a think block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.parts import Part
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
        self._closing = tokenizer.encode(CLOSING)
        self._forced = False
        self._matched = 0  # of the closing tokens, that have come

    def due(self, thinking_tokens: int, part: Part) -> list[int] | None:
        """The tokens to force now, once a reply; None while there is budget left or nothing to close."""
        if self._forced or part != "thinking" or self.limit is None or thinking_tokens < self.limit:
            return None
        self._forced = True
        return list(self._closing)

    def is_late(self, token: int, part: Part) -> bool:
        """Whether this token of the answer belongs to a closing that the model itself forestalled.

        The engine goes on while the app decides: the model may have closed its block in the meantime, and the forced
        text then stands at the start of the answer, where nobody should read it.
        """
        if not self._forced or self._matched == len(self._closing):
            return False
        self._matched = self._matched + 1 if token == self._closing[self._matched] else 0
        return part == "answer" and self._matched > 0
