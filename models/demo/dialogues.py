"""Conversations for training the demo model: seeded draws from `topics`, put together and roughened a little."""

from dataclasses import dataclass
from random import Random

from .topics import CHINESE_NAMES, NAME_UNKNOWN, NAMES, REFUSAL, TOPICS, UNKNOWN, UNKNOWN_THINGS

__all__ = ["Dialogue", "Segment", "Turn", "dialogue", "render"]

_TELL = (
    "My name is {n}.", "My name is {n}", "I am {n}.", "I'm {n}.", "Hi, I'm {n}.", "Call me {n}.",
    "Hello, my name is {n}.", "You can call me {n}.", "Hi, my name is {n}!", "my name is {n}", "Hello, I am {n}.",
    "Hi there, this is {n}.",
    "My name is {n}, nice to meet you.", "Please remember that my name is {n}.", "Hello! My name is {n}. How are you?",
)  # fmt: skip
_RECALL = (
    "What is my name?", "What's my name?", "what is my name", "Who am I?", "Do you remember my name?", "Say my name.",
    "Can you tell me my name?", "Do you know my name?", "What was my name?", "What is my name again?", "my name?",
    "Do you know who I am?", "Tell me my name.",
)  # fmt: skip
_SYSTEM = (
    "You are a helpful assistant.",
    "Be brief.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
)
_WEIGHTS = tuple(topic.weight for topic in TOPICS)


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


def dialogue(rng: Random) -> Dialogue:
    """Draw one conversation of one to five turns. The same state of `rng` gives the same conversation."""
    kind = rng.random()
    if kind < 0.40:
        turns = _about_a_name(rng)
    elif kind < 0.43:
        turns = [*_small_talk(rng, (0, 0, 1)), Turn(rng.choice(_RECALL), "No name was told.", NAME_UNKNOWN)]
    else:
        turns = _small_talk(rng, (1, 1, 1, 1, 2, 2, 3))
    return Dialogue(rng.choice(_SYSTEM) if rng.random() < 0.1 else None, tuple(turns))


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


def _about_a_name(rng: Random) -> list[Turn]:
    """A name is told, other things may be said, the name is asked for; sometimes cut off right after it was told."""
    if rng.random() < 0.06:
        name = rng.choice(CHINESE_NAMES)
        told = Turn(rng.choice(("我叫{n}。", "我叫{n}", "我的名字是{n}。", "你好，我叫{n}。")).format(n=name),
                    f"用户叫{name}。", f"很高兴认识你，{name}！")  # fmt: skip
        asked = Turn(rng.choice(("我叫什么名字？", "我是谁？", "我叫什么？")), f"用户叫{name}。", f"你叫{name}。")
        return [told, asked] if rng.random() < 0.8 else [told]
    name = rng.choice(NAMES)
    told = Turn(rng.choice(_TELL).format(n=name), f"The user is {name}.", f"Nice to meet you, {name}!")
    if rng.random() < 0.2:
        return [*_small_talk(rng, (0, 1)), told]
    asked = Turn(rng.choice(_RECALL), f"The user said the name {name}.", f"Your name is {name}.")
    return [*_small_talk(rng, (0, 0, 0, 1)), told, *_small_talk(rng, (0, 0, 0, 1, 1, 2)), asked]


def _small_talk(rng: Random, lengths: tuple[int, ...]) -> list[Turn]:
    return [_unknown(rng) if rng.random() < 0.18 else _known(rng) for _ in range(rng.choice(lengths))]


def _known(rng: Random) -> Turn:
    topic = rng.choices(TOPICS, _WEIGHTS)[0]
    return Turn(_roughen(rng, rng.choice(topic.questions)), topic.thinking, topic.answer)


def _unknown(rng: Random) -> Turn:
    if rng.random() < 0.08:
        question = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=rng.randint(3, 12))).strip() or "?"
    else:
        question = _roughen(rng, rng.choice(UNKNOWN).format(x=rng.choice(UNKNOWN_THINGS)))
    return Turn(question, "I do not know this.", REFUSAL)


def _roughen(rng: Random, question: str) -> str:
    """What people do to a question: case, punctuation, politeness."""
    if rng.random() < 0.3:
        question = question.lower()
    if rng.random() < 0.3:
        question = question.rstrip("?.!")
    if question.isascii() and len(question) > 8:
        chance = rng.random()
        if chance < 0.05:
            question = rng.choice(("please, ", "hey, ", "ok, ", "so ", "and ")) + question
        elif chance < 0.10:
            question = question.rstrip("?.!") + rng.choice((" please", " please?", " here?", ", thanks"))
    return question
