"""Names: several hundred real ones, and made-up ones without end, so that the model learns to copy what it is told."""

from functools import lru_cache
from random import Random

from .wording import load

__all__ = ["chinese_name", "name", "words"]

_MADE_UP, _TWO, _SMALL = 0.45, 0.06, 0.12  # shares: made up, two names, written small
_ONSETS = "b c d f g h j k l m n p r s t v w z br ch dr fr gr kr kn pl sh sk st th tr".split()
_VOWELS = "a e i o u a e i o ai ea ee ia ie io ou y".split()
_CODAS = ["", "", "", "n", "r", "s", "l", "k", "m", "t", "x", "nd", "ck", "lf", "rt"]


@lru_cache(maxsize=1)
def _names() -> tuple[list[str], list[str]]:
    entry = load("names")
    return entry["names"].split(), entry["chinese"].split("|")


def name(rng: Random) -> str:
    """A name as somebody types it."""
    found = " ".join(_one(rng) for _ in range(2 if rng.random() < _TWO else 1))
    return found.lower() if rng.random() < _SMALL else found


def chinese_name(rng: Random) -> str:
    """A Chinese name."""
    return rng.choice(_names()[1])


def words(rng: Random) -> str:
    """One to four names or numbers, to be repeated."""
    parts = (
        name(rng) if rng.random() < 0.8 else str(rng.randint(0, 999)) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))
    )
    return " ".join(parts)


def _one(rng: Random) -> str:
    if rng.random() >= _MADE_UP:
        return rng.choice(_names()[0])
    syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2, 2, 3))))
    made = "".join(syllables) + rng.choice(_CODAS)
    if rng.random() < 0.2:
        made = made[1:]
    return made.capitalize()
