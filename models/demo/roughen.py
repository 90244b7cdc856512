"""What people do to a question: politeness, case, punctuation, a word left out, a typo."""

from random import Random

from .wording import load

__all__ = ["normal", "roughen"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SMALL_WORDS = frozenset("a an the do i to my your is of me for in on it you there can please does this".split())
_SWITCHES = (" /think", " /no_think")


def normal(text: str) -> str:
    """A question as it is compared: lower case, letters and digits alone."""
    return "".join(char for char in text.lower() if char.isalnum())


def roughen(question: str, rng: Random) -> str:
    """Change a question a little, at times. What stands in braces is left as it is."""
    if question.isascii():
        question = _around(question, rng)
        if rng.random() < 0.06:
            question = _without_a_word(question, rng)
        if rng.random() < 0.10:
            question = _typo(question, rng)
        if rng.random() < 0.35:
            question = question.lower()
        elif rng.random() < 0.02 and "{" not in question:
            question = question.upper()
    if rng.random() < 0.30:
        question = question.rstrip("?.!") or question
    elif rng.random() < 0.05:
        question = question.rstrip("?.!") + rng.choice(("??", "!", "...", " ?", " !", "?!"))
    return question + rng.choice(_SWITCHES) if rng.random() < 0.01 else question


def _around(question: str, rng: Random) -> str:
    frames = load("frames")
    chance = rng.random()
    if chance < 0.12 or chance > 0.97:
        before = rng.choice(frames["before"])
        if not before.endswith((". ", "! ", "? ")) and question[1:2].islower() and question[0] != "I":
            question = question[0].lower() + question[1:]
        question = before + question
    if chance > 0.89 and "?" not in question[:-1] and len(question) > 8:
        question = question.rstrip("?.!") + rng.choice(frames["after"])
    return question


def _without_a_word(question: str, rng: Random) -> str:
    words = question.split(" ")
    small = [place for place, word in enumerate(words) if word.lower() in _SMALL_WORDS]
    if not small or len(words) < 4:
        return question
    del words[rng.choice(small)]
    return " ".join(words)


def _typo(question: str, rng: Random) -> str:
    """Two letters swapped, one left out, doubled or another, inside a longer word."""
    words = question.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not long:
        return question
    place = rng.choice(long)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind == 1:
        word = word[:at] + word[at + 1 :]
    elif kind == 2:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + rng.choice(_LETTERS) + word[at + 1 :]
    words[place] = word
    return " ".join(words)
