"""A model that says what a test wrote down: the engine's, tokenizer's and template's interfaces without their work."""

from __future__ import annotations

import codecs
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from qwen3_chat.app.chat.model import ChatModel, ThinkingMode
from qwen3_chat.engine import ContextOverflow, EngineError, SamplingParams
from qwen3_chat.models.config import GenerationDefaults
from qwen3_chat.models.errors import Qwen3Error

SPECIAL = {"<|im_start|>": 1, "<|im_end|>": 2}
MARKS = {"<think>": 3, "</think>": 4}
FIRST_BYTE = 16
VOCAB = FIRST_BYTE + 256
STOP = SPECIAL["<|im_end|>"]
_TOKENS = re.compile("(" + "|".join(re.escape(token) for token in (*SPECIAL, *MARKS)) + ")")
_TEXT = {token: text for text, token in {**SPECIAL, **MARKS}.items()}


class ScriptedTokenizer:
    """One id a byte, and the marks of a chat."""

    vocab_size = VOCAB
    special_ids = frozenset(SPECIAL.values())
    think_open: int | None = MARKS["<think>"]
    think_close: int | None = MARKS["</think>"]

    def token_id(self, content: str) -> int | None:
        return {**SPECIAL, **MARKS}.get(content)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in _TOKENS.split(text):
            mark = self.token_id(piece)
            ids += [mark] if mark is not None else [FIRST_BYTE + byte for byte in piece.encode()]
        return ids

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        detokenizer = self.detokenizer()
        return "".join(detokenizer.push(token) for token in ids) + detokenizer.flush()

    def token_bytes(self, id: int) -> bytes:
        if id in _TEXT:
            return _TEXT[id].encode()
        return bytes([id - FIRST_BYTE]) if FIRST_BYTE <= id < VOCAB else b""

    def detokenizer(self) -> ScriptedDetokenizer:
        return ScriptedDetokenizer()


class ScriptedDetokenizer:
    """Text as soon as its bytes are whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        if token in ScriptedTokenizer.special_ids:
            return ""
        if token in _TEXT:
            return self.flush() + _TEXT[token]
        return self._decoder.decode(bytes([token - FIRST_BYTE]))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class ScriptedTemplate:
    """ChatML. Its `mode` is how the model thinks."""

    is_fallback = False

    def __init__(self, mode: ThinkingMode = "switch") -> None:
        self.mode = mode
        self.can_think = mode == "switch"

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
    ) -> str:
        text = "".join(f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages)
        if add_generation_prompt:
            text += "<|im_start|>assistant\n"
            if self.mode == "always":
                text += "<think>\n"
            elif self.mode == "switch" and not enable_thinking:
                text += "<think>\n\n</think>\n\n"
        return text

    def encode(
        self, messages: Sequence[Mapping[str, str]], tokenizer: ScriptedTokenizer, *, enable_thinking: bool = True
    ) -> list[int]:
        ids: list[int] = []
        for message in messages:
            ids += tokenizer.encode(f"<|im_start|>{message['role']}\n")
            ids += [FIRST_BYTE + byte for byte in message["content"].encode()]  # no mark is made of what people write
            ids += tokenizer.encode("<|im_end|>\n")
        return ids + tokenizer.encode(self.render([], enable_thinking=enable_thinking))


@dataclass(frozen=True)
class ScriptedToken:
    id: int
    index: int
    stop: bool = False
    logprob: float = -0.5
    top: tuple[tuple[int, float], ...] = ()
    ns: int = 1_000_000


@dataclass(frozen=True)
class ScriptedStats:
    prompt_tokens: int
    reused_tokens: int
    prefill_tokens: int
    new_tokens: int
    first_token_s: float = 0.038
    prefill_s: float = 0.030
    decode_s: float = 0.5
    tokens_per_s: float = 41.0
    prefill_tokens_per_s: float = 900.0


@dataclass
class Line:
    """One reply: its text, and how it ends. "wait": it goes on without another token until it is cancelled."""

    text: str
    end: Literal["stop", "error", "wait"] = "stop"


class ScriptedCache:
    def __init__(self) -> None:
        self.tokens: list[int] = []

    def __len__(self) -> int:
        return len(self.tokens)


class ScriptedGeneration:
    """Gives `chunk` tokens a drain, as an engine that is that fast would."""

    def __init__(
        self,
        line: Line,
        ids: Sequence[int],
        cache: ScriptedCache | None,
        sampling: SamplingParams,
        context: int,
        chunk: int,
        on_idle: Callable[[], None] | None,
    ) -> None:
        reused = 0
        if cache is not None:
            while reused < min(len(ids) - 1, len(cache.tokens)) and cache.tokens[reused] == ids[reused]:
                reused += 1
            cache.tokens = list(ids)
        room = context - len(ids)
        limit = min(room, room if sampling.max_new_tokens is None else sampling.max_new_tokens)
        tokens = [ScriptedToken(token, len(ids) + n) for n, token in enumerate(ScriptedTokenizer().encode(line.text))]
        if line.end == "stop":
            tokens.append(ScriptedToken(STOP, len(ids) + len(tokens), stop=True))
        self._end: str | None = {"stop": "stop", "error": "error", "wait": None}[line.end]
        if len(tokens) > limit or (len(tokens) == limit and line.end == "wait"):
            self._end = "length"
        self._tokens = tokens[:limit]
        self._cache = cache
        self._chunk = chunk
        self._prompt, self.reused = len(ids), reused
        self._given = 0
        self.prefill_done = self.prefill_total = len(ids) - reused
        self.finish_reason: str | None = None
        self.waited = 0
        self.updates: list[SamplingParams] = []
        self.forced: list[list[int]] = []
        self._cancelled = threading.Event()
        self._on_idle = on_idle

    @property
    def done(self) -> bool:
        return self.finish_reason is not None

    @property
    def error(self) -> Qwen3Error | None:
        return EngineError("device cpu:0 failed: scripted") if self.finish_reason == "error" else None

    @property
    def stats(self) -> ScriptedStats:
        return ScriptedStats(self._prompt, self.reused, self._prompt - self.reused, self._given)

    def drain(self, max: int | None = None) -> list[ScriptedToken]:
        tokens = self._tokens[self._given : self._given + self._chunk] if not self.done else []
        self._given += len(tokens)
        if self._cache is not None:
            self._cache.tokens += [token.id for token in tokens if not token.stop]
        if self._given == len(self._tokens) and not self.done:
            self.finish_reason = self._end
        return tokens

    def update(self, sampling: SamplingParams) -> None:
        self.updates.append(sampling)

    def force(self, ids: Sequence[int], unless: int | None = None) -> None:
        """These are next, unless that token has come; of thinking that was still to come, nothing is left."""
        if any(token.id == unless for token in self._tokens[: self._given]):
            return
        rest = self._tokens[self._given :]
        closed = next((at + 1 for at, token in enumerate(rest) if token.id == MARKS["</think>"]), 0)
        start = rest[0].index if rest else self._prompt + self._given
        forced = [ScriptedToken(token, start + n) for n, token in enumerate(ids)]
        self.forced.append(list(ids))
        self._tokens = [*self._tokens[: self._given], *forced, *rest[closed:]]

    def wait(self, timeout: float | None = None) -> bool:
        self.waited += 1
        if self.waited > 1000:
            raise AssertionError("nobody stopped a reply that has no end")
        if self._given == len(self._tokens):  # nothing more to say
            if self._on_idle is not None:
                self._on_idle()
                self._on_idle = None
            self._cancelled.wait(timeout)
        return self.done

    def cancel(self) -> None:
        self.finish_reason = self.finish_reason or "cancelled"
        self._cancelled.set()


class ScriptedEngine:
    """Answers the n-th request with the n-th line. Remembers what it was asked."""

    devices = ("cpu:0",)
    load_seconds = 0.25

    def __init__(self, *lines: Line | str, context: int = 4096, chunk: int = 3) -> None:
        self.context = context
        self.requests: list[tuple[list[int], SamplingParams]] = []
        self.background: list[list[int]] = []  # prompts of idle work
        self.generations: list[ScriptedGeneration] = []
        self.closed = False
        self.on_idle: Callable[[], None] | None = None  # called when a reply has nothing more to say, and has not ended
        self._lines: Iterator[Line] = (Line(line) if isinstance(line, str) else line for line in lines)
        self._chunk = chunk

    def generate(
        self, ids: Sequence[int], cache: Any = None, sampling: Any = None, *, background: bool = False
    ) -> ScriptedGeneration:
        if background:
            self.background.append(list(ids))
            return ScriptedGeneration(Line("?"), ids, cache, sampling, self.context, self._chunk, self.on_idle)
        self.requests.append((list(ids), sampling))
        if len(ids) >= self.context:
            raise ContextOverflow(f"the prompt has {len(ids)} tokens, the context {self.context}")
        generation = ScriptedGeneration(
            next(self._lines), ids, cache, sampling, self.context, self._chunk, self.on_idle
        )
        self.generations.append(generation)
        return generation

    def new_cache(self) -> ScriptedCache:
        return ScriptedCache()

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Scripted:
    """A scripted model, and its parts for a test to look at."""

    model: ChatModel
    engine: ScriptedEngine
    tokenizer: ScriptedTokenizer


def scripted(*lines: Line | str, mode: ThinkingMode = "switch", context: int = 4096, chunk: int = 3) -> Scripted:
    """A model that replies with these lines, one after the other."""
    engine: Any = ScriptedEngine(*lines, context=context, chunk=chunk)
    tokenizer: Any = ScriptedTokenizer()
    template: Any = ScriptedTemplate(mode)
    model = ChatModel(
        engine=engine,
        tokenizer=tokenizer,
        template=template,
        config=cast(Any, None),
        defaults=GenerationDefaults(),
        file_bytes=0,
        path=Path("scripted"),
        name="scripted",
        is_demo=False,
        thinking_mode=mode,
    )
    return Scripted(model, engine, tokenizer)
