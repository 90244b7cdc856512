"""How well the bundled model answers, through the engine: the figures of `make demo-score` and of the tests."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qwen3_chat.engine import Engine, SamplingParams
from qwen3_chat.models import demo
from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.config import GenerationDefaults
from qwen3_chat.models.tokenizer import Tokenizer

QUESTIONS = Path(__file__).with_name("paraphrased.toml")
LONGEST = 300  # tokens of a reply that is still going to end
AT_ONCE = 16  # replies
# None of them is in models/demo/wordings/names.toml.
NAMES = ("Miriam", "Stefan", "Bruno", "Elsa", "Gordon", "Tessa", "Viktor", "Amara", "Jonas", "Freya")
THOUGHT = re.compile(r"<think>\n(.*\S.*)\n</think>\n\n(.*\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """One question in the words of the training set and in another person's words, and what the answer must hold."""

    topic: str
    held_in: str
    ask: str
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def is_answered_by(self, answer: str) -> bool:
        """Whether every word is there that must be, one of the alternatives, and none that must not."""
        said = answer.lower()
        return (
            all(word.lower() in said for word in self.all_of)
            and (not self.any_of or any(word.lower() in said for word in self.any_of))
            and not any(word.lower() in said for word in self.none_of)
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What came, with its special tokens, and whether the model ended it."""

    text: str
    ended: bool

    def honours(self, thinking: bool) -> bool:
        """Whether there is a thought and then an answer, or an answer alone."""
        return bool(THOUGHT.fullmatch(self.text)) if thinking else "think>" not in self.text and bool(self.text.strip())

    @property
    def answer(self) -> str:
        """The text without the thought."""
        return self.text.split("</think>")[-1].strip()


def questions(path: Path = QUESTIONS) -> list[Question]:
    """The questions of a TOML file, `[[question]]` each."""
    read: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    return [
        Question(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
        for entry in read
    ]


class Demo:
    """The bundled checkpoint on the engine."""

    def __init__(self, folder: Path | None = None, seed: int | None = None) -> None:
        """`seed`: draw as the checkpoint recommends; None takes the likeliest token always."""
        folder = folder or demo.path()
        self._tokenizer = Tokenizer.from_folder(folder)
        self._template = ChatTemplate.from_folder(folder, self._tokenizer)
        self._engine = Engine.load(folder, threads=1)
        self._sampling = SamplingParams(temperature=0, max_new_tokens=LONGEST)
        if seed is not None:
            stated = dataclasses.asdict(GenerationDefaults.from_folder(folder))
            advised = {name: value for name, value in stated.items() if value is not None}
            self._sampling = SamplingParams(seed=seed, max_new_tokens=LONGEST, **advised)

    def __enter__(self) -> Demo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._engine.close()

    def ask(self, chats: Sequence[Sequence[str]], *, thinking: bool) -> list[Reply]:
        """Reply to conversations, in which user and assistant take turns."""
        replies: list[Reply] = []
        for start in range(0, len(chats), AT_ONCE):
            running = [
                self._engine.generate(self._prompt(chat, thinking), None, self._sampling)
                for chat in chats[start : start + AT_ONCE]
            ]
            for generation in running:
                ids = [token.id for token in generation]
                ended = generation.finish_reason == "stop"
                replies.append(Reply(self._tokenizer.decode(ids[:-1] if ended else ids, skip_special=False), ended))
        return replies

    def recall(self, names: Sequence[str], between: Sequence[str], *, thinking: bool) -> list[list[Reply]]:
        """Tell a name, ask something else, ask for the name: the three replies to each."""
        chats: list[list[str]] = [[] for _ in names]
        found: list[list[Reply]] = [[] for _ in names]
        for turn in range(3):
            for index, (chat, name) in enumerate(zip(chats, names, strict=True)):
                chat.append((f"My name is {name}.", between[index % len(between)], "What is my name?")[turn])
            for chat, replies, reply in zip(chats, found, self.ask(chats, thinking=thinking), strict=True):
                chat.append(reply.answer)
                replies.append(reply)
        return found

    def _prompt(self, chat: Sequence[str], thinking: bool) -> list[int]:
        messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(chat)]
        return self._template.encode(messages, self._tokenizer, enable_thinking=thinking)


@dataclass(frozen=True, slots=True)
class Score:
    """The figures with thinking on or off. Each is (right, of how many)."""

    held_in: tuple[int, int]
    paraphrased: tuple[int, int]
    recalled: tuple[int, int]
    ended: tuple[int, int]
    honoured: tuple[int, int]
    misses: tuple[str, ...]


def score(model: Demo, asked: Sequence[Question], *, thinking: bool) -> Score:
    """Ask everything once."""
    held_in = model.ask([[question.held_in] for question in asked], thinking=thinking)
    paraphrased = model.ask([[question.ask] for question in asked], thinking=thinking)
    chats = model.recall(NAMES, [question.held_in for question in asked], thinking=thinking)
    replies = [*held_in, *paraphrased, *(reply for chat in chats for reply in chat)]
    right = {
        words: [question.is_answered_by(reply.answer) for question, reply in zip(asked, given, strict=True)]
        for words, given in (("held_in", held_in), ("ask", paraphrased))
    }
    recalled = [chat[2].answer == f"Your name is {name}." for name, chat in zip(NAMES, chats, strict=True)]
    misses = [
        f"{getattr(question, words)!r} -> {reply.answer!r}"
        for words, given in (("held_in", held_in), ("ask", paraphrased))
        for question, reply, is_right in zip(asked, given, right[words], strict=True)
        if not is_right
    ]
    misses += [f"{name} -> {chat[2].answer!r}" for name, chat, ok in zip(NAMES, chats, recalled, strict=True) if not ok]
    return Score(
        held_in=(sum(right["held_in"]), len(asked)),
        paraphrased=(sum(right["ask"]), len(asked)),
        recalled=(sum(recalled), len(NAMES)),
        ended=(sum(reply.ended for reply in replies), len(replies)),
        honoured=(sum(reply.honours(thinking) for reply in replies), len(replies)),
        misses=tuple(misses),
    )
