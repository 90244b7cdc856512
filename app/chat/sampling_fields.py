"""The sampling settings as a person sets them: names, ranges and words, for flags and for the panel alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["FIELDS", "Field"]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `name` is that of SamplingOptions."""

    name: str
    title: str
    what: str
    low: float
    high: float
    whole: bool = False
    open_low: bool = False  # `low` itself is out of range

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    def parse(self, text: str) -> float | int:
        """The value of what was typed. Raises ValueError that says what was expected."""
        try:
            value: float | int = int(text) if self.whole else float(text)
        except ValueError:
            value = math.nan
        if self.low <= value <= self.high and not (self.open_low and value == self.low):
            return value
        if self.whole:
            raise ValueError(f"expected a whole number from {self.low} to {self.high}, not {text!r}")
        lower = f"above {self.low:g} and up" if self.open_low else f"from {self.low:g}"
        raise ValueError(f"expected a number {lower} to {self.high:g}, not {text!r}")


FIELDS = (
    Field("temperature", "temperature", "0 takes the likeliest token always", 0, 10),
    Field("top_p", "top p", "draw from the likeliest tokens of this total probability", 0, 1, open_low=True),
    Field("top_k", "top k", "draw from this many likeliest tokens; 0: from all", 0, 2**31 - 1, whole=True),
    Field("min_p", "min p", "drop tokens less likely than this share of the likeliest", 0, 1),
    Field("presence_penalty", "presence penalty", "against tokens that were there before", -2, 2),
    Field("repetition_penalty", "repetition penalty", "the same as a factor; 1: none", 0, 10, open_low=True),
    Field("seed", "seed", "the same seed gives the same reply", 0, 2**64 - 1, whole=True),
    Field("max_tokens", "longest reply", "tokens of one reply", 1, 2**31 - 1, whole=True),
    Field("thinking_budget", "thinking budget", "tokens of thinking, then it answers", 0, 2**31 - 1, whole=True),
)
