"""Conversations for training the demo model: seeded draws from its topics, put together."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from .names import chinese_name, name, words
from .roughen import normal, roughen
from .topics import REFUSALS, Topic, question, topics, unknown_question
from .wording import Wordings, load

__all__ = ["Dialogue", "Segment", "Turn", "dialogue", "render"]

_SYSTEM = (
    "You are a helpful assistant.",
    "Be brief.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "Answer in one sentence.",
)
# Shares of the conversations, and of the turns that are not about a name.
_ABOUT_A_NAME, _NO_NAME, _SYSTEM_PROMPT, _CUT = 0.28, 0.03, 0.08, 0.4
_UNKNOWN, _GIBBERISH = 0.24, 0.04


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with the thinking and the answer that it should get."""

    question: str
    thinking: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation; only the last turn's thinking is ever seen, as the chat template strips the others."""

    system: str | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of rendered text; the model is trained to predict its tokens from `trained_from` on (None: none)."""

    text: str
    trained_from: int | None = None


def dialogue(rng: Random, without: frozenset[str] = frozenset()) -> Dialogue:
    """Draw one conversation of one to five turns. The same state of `rng` gives the same conversation.

    `without`: questions, as `roughen.normal` writes them, that are never drawn.
    """
    while True:
        drawn = _dialogue(rng)
        if not without or not any(normal(turn.question) in without for turn in drawn.turns):
            return drawn


def render(talk: Dialogue, *, thinking: bool) -> list[Segment]:
    """Render as `chat_template.jinja` does, with the last reply complete.

    An earlier reply stands in the text without its thinking. Its first token is not trained: at that place a new reply
    would have to choose between thinking and answering.
    """
    segments = []
    if talk.system is not None:
        segments.append(Segment(f"<|im_start|>system\n{talk.system}<|im_end|>\n"))
    for position, turn in enumerate(talk.turns):
        segments.append(Segment(f"<|im_start|>user\n{turn.question}<|im_end|>\n<|im_start|>assistant\n"))
        if position < len(talk.turns) - 1:
            segments += [Segment(f"{turn.answer}<|im_end|>", 1), Segment("\n")]
        elif thinking:
            segments.append(Segment(f"<think>\n{turn.thinking}\n</think>\n\n{turn.answer}<|im_end|>", 0))
        else:
            segments += [Segment("<think>\n\n</think>\n\n"), Segment(f"{turn.answer}<|im_end|>", 0)]
    return segments


def _dialogue(rng: Random) -> Dialogue:
    kind = rng.random()
    if kind < _ABOUT_A_NAME:
        turns = _about_a_name(rng)
    elif kind < _ABOUT_A_NAME + _NO_NAME:
        turns = [*_small_talk(rng, (0, 0, 1)), _no_name(rng)]
    else:
        turns = _small_talk(rng, (1, 1, 1, 1, 1, 1, 1, 2, 2, 3))
    return Dialogue(rng.choice(_SYSTEM) if rng.random() < _SYSTEM_PROMPT else None, tuple(turns))


def _about_a_name(rng: Random) -> list[Turn]:
    """A name is told, other things may be said, the name is asked for.

    Sometimes it is cut off at any turn from the telling on: a name told in the last turn is answered, too.
    """
    is_chinese = rng.random() < 0.06
    called = chinese_name(rng) if is_chinese else name(rng)
    told, asked = _told(rng, called, is_chinese), _asked(rng, called, is_chinese)
    before = [] if is_chinese else _small_talk(rng, (0, 0, 0, 1))
    if not is_chinese and rng.random() < 0.05:  # another name, which then counts for nothing
        before.append(_told(rng, name(rng), False))
    turns = [*before, told, *([] if is_chinese else _small_talk(rng, (0, 0, 1, 1, 1, 2, 2))), asked]
    return turns[: rng.randint(len(before) + 1, len(turns))] if rng.random() < _CUT else turns


def _told(rng: Random, called: str, is_chinese: bool) -> Turn:
    if is_chinese:
        return _about(called, rng, "zh_tell", "zh_told", "用户叫{name}。")
    return _about(called, rng, "tell", "told", "The user is {name}.")


def _asked(rng: Random, called: str, is_chinese: bool) -> Turn:
    if is_chinese:
        return _about(called, rng, "zh_ask", "zh_recalled", "用户叫{name}。")
    return _about(called, rng, "ask", "recalled", "The user said the name {name}.")


def _about(called: str, rng: Random, said: str, answer: str, thinking: str) -> Turn:
    text = roughen(_name_wordings(said).draw(rng), rng)
    return Turn(*(part.replace("{name}", called) for part in (text, thinking, load("names")[answer])))


def _no_name(rng: Random) -> Turn:
    return Turn(roughen(_name_wordings("ask").draw(rng), rng), "No name was told.", load("names")["unknown"])


@lru_cache
def _name_wordings(kind: str) -> Wordings:
    return Wordings(load("names")[kind])


def _small_talk(rng: Random, lengths: tuple[int, ...]) -> list[Turn]:
    return [_unknown(rng) if rng.random() < _UNKNOWN else _known(rng) for _ in range(rng.choice(lengths))]


@lru_cache(maxsize=1)
def _known_topics() -> tuple[tuple[Topic, ...], list[float]]:
    return topics(), [topic.weight for topic in topics()]


def _known(rng: Random) -> Turn:
    known, weights = _known_topics()
    topic = rng.choices(known, weights)[0]
    text = roughen(question(topic, rng), rng)
    while "{number}" in text:
        text = text.replace("{number}", str(rng.randint(0, rng.choice((9, 99, 99, 999)))), 1)
    if "{words}" not in text:
        return Turn(text, topic.thinking, topic.answer)
    said = words(rng)
    return Turn(*(part.replace("{words}", said) for part in (text, topic.thinking, topic.answer)))


def _unknown(rng: Random) -> Turn:
    if rng.random() < _GIBBERISH:
        text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=rng.randint(3, 12))).strip() or "?"
    else:
        text = roughen(unknown_question(rng), rng).replace("{year}", str(rng.randint(1500, 2030)))
        text = text.replace("{number}", str(rng.randint(2, 99))).replace("{name}", name(rng))
    return Turn(text, "I do not know this.", rng.choice(REFUSALS))
