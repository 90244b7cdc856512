"""Wordings: texts with alternatives, `{stop|halt} the {reply|answer}`, of which one is drawn at random.

`{a|}` may be left out. A word in braces without a bar, `{place}`, is a slot: it is replaced by one of the slot's own
wordings, or left for the caller; so is an alternative that has a slot's name, as in `{place|person}`.
"""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["Wordings", "draw", "load", "variants"]

_BRACES = re.compile(r"\{([^{}]*)\}")

Slots = Mapping[str, Sequence[str]]


class Wordings:
    """Several wordings of one thing. Those with more alternatives are drawn more often, far from in proportion."""

    def __init__(self, texts: Sequence[str], slots: Slots | None = None) -> None:
        """`slots` fill the slots of these texts, over and over until none is left that is known."""
        self.texts = tuple(texts)
        self._slots = slots or {}
        self._weights = [1 + math.log2(variants(text)) for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

    def draw(self, rng: Random) -> str:
        """One of them, with every alternative decided."""
        return draw(rng.choices(self.texts, self._weights)[0], rng, self._slots)


def draw(text: str, rng: Random, slots: Slots | None = None) -> str:
    """Decide the alternatives and fill the known slots of a wording, innermost first."""

    def decide(match: re.Match[str]) -> str:
        inside = rng.choice(match[1].split("|")) if "|" in match[1] else match[1]
        if slots and inside in slots:
            return rng.choice(slots[inside])
        return inside if "|" in match[1] else f"\0{inside}\1"  # not known here: stays as it is

    while _BRACES.search(text):
        text = _BRACES.sub(decide, text)
    return text.replace("\0", "{").replace("\1", "}")


def variants(text: str) -> int:
    """In how many ways the alternatives of a wording can be decided; slots and nesting are not counted."""
    return math.prod(group.count("|") + 1 for group in _BRACES.findall(text))


@lru_cache
def load(name: str) -> dict[str, Any]:
    """The content of `wordings/NAME.toml`."""
    with (Path(__file__).parent / "wordings" / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)
