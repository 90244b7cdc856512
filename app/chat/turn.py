"""One reply: prompt ids -> generation -> thinking and answer, apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from qwen3_chat.app.chat.conversation import ReplyStats
from qwen3_chat.app.chat.loops import loop_period
from qwen3_chat.app.chat.parts import ReplySplitter, starts_thinking
from qwen3_chat.app.chat.prefix import explain
from qwen3_chat.app.chat.sampling import resolve
from qwen3_chat.app.chat.thinking import ThinkingBudget
from qwen3_chat.app.chat.trace import TokenTrace
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.options import SamplingOptions
    from qwen3_chat.app.chat.parts import Part
    from qwen3_chat.app.chat.prefix import Prefix
    from qwen3_chat.engine import Generation, KVCache, SamplingParams, Token

__all__ = ["Phase", "Turn", "TurnUpdate"]

Phase = Literal["prefill", "thinking", "answer", "done"]

WAIT_S = 0.05  # between updates where nobody polls: 20 a second, as a screen does


@dataclass(frozen=True, slots=True)
class TurnUpdate:
    """What came since the last poll."""

    thinking_delta: str
    answer_delta: str
    tokens: tuple[Token, ...]  # the engine's own, stop token included
    done: bool
    pieces: tuple[tuple[Part, str], ...] = ()  # text of each token; at the end one more, what was held back


class Turn:
    """One reply in the making. It alone writes to its message until it is done.

    Under a screen: `poll()` from a timer, about 20 times a second. Elsewhere: iterate, which blocks between updates.
    A failure never raises from here: the message gets state "error" and a note, and `error` holds the typed error.
    """

    message: Message  # the reply; its content and thinking always hold all deltas so far
    thinking: bool  # whether this reply was asked to think
    sampling: SamplingParams  # as resolved, seed included
    prompt_ids: list[int]  # what the engine was given, a continued reply's own tokens included
    error: Qwen3Error | None
    prefix: Prefix | None  # what the prompt found in the cache; None: there was none, or the engine never started

    @classmethod
    def start(
        cls,
        model: ChatModel,
        conversation: Conversation,
        cache: KVCache | None,
        sampling: SamplingOptions,
        thinking: bool | None,
        *,
        message: Message | None = None,
        messages: Sequence[Mapping[str, str]] | None = None,
        alternatives: int = 0,
    ) -> Turn:
        """Queue a reply to the active path and return at once.

        `message` is what `begin_reply`, `regenerate` or `continue_` gave; None calls `begin_reply`. A message with text
        is continued from its own tokens. `messages` is what it replies to, if that is not the path before it.
        `sampling` is resolved here (seed drawn if None), see `sampling.resolve`. The engine tells `alternatives` of
        the likeliest tokens at every place; the message's trace keeps them.
        """
        message = message or conversation.begin_reply()
        return cls(model, conversation, cache, sampling, thinking, message, messages, alternatives)

    def __init__(
        self,
        model: ChatModel,
        conversation: Conversation,
        cache: KVCache | None,
        sampling: SamplingOptions,
        thinking: bool | None,
        message: Message,
        messages: Sequence[Mapping[str, str]] | None,
        alternatives: int,
    ) -> None:
        """Use `start`."""
        self._model = model
        self._alternatives = alternatives
        self._generation: Generation | None = None
        self._done = False
        self._thinking_tokens = 0
        self._thinking_ns = 0
        self.message = message
        self.error = None
        self.prefix = None
        self.prompt_ids = []
        thought = ""
        if message.model not in (None, model.name):  # another model's ids are other words here: go on from the text
            message.token_ids, message.trace = [], TokenTrace()
            thought = message.thinking if message.content else ""
        self.thinking = _thinking_of(model, message, thinking)
        self.sampling = self._resolved(sampling)
        self._budget = ThinkingBudget(model.tokenizer, sampling.thinking_budget)
        message.seed, message.thought, message.model = self.sampling.seed, self.thinking, model.name
        self._splitter = ReplySplitter(model.tokenizer, thinking=False)
        try:
            messages = conversation.render_messages(upto=message.id) if messages is None else messages
            prompt = model.prompt_ids(messages, self.thinking)
            self._splitter = ReplySplitter(model.tokenizer, thinking=starts_thinking(prompt, model.tokenizer))
            self._replay()
            message.thinking = thought or message.thinking
            self.prompt_ids = prompt + message.token_ids
            held = cache.tokens if cache is not None else None
            self._generation = model.engine.generate(self.prompt_ids, cache, self.sampling)
            if held is not None:
                self.prefix = explain(held, self.prompt_ids, self._generation.reused, model.tokenizer)
        except Qwen3Error as error:
            self._fail(error)

    @property
    def seed(self) -> int:
        """The sampler's seed, drawn if none was given."""
        return self.sampling.seed

    @property
    def phase(self) -> Phase:
        """Where the reply is: reading the prompt, thinking, answering, done."""
        if self._done or self._generation is None:
            return "done"
        if self._generation.stats.new_tokens == 0:
            return "prefill"
        return self._splitter.part

    @property
    def done(self) -> bool:
        """The message is final, and the last update was taken."""
        return self._done

    @property
    def prefill(self) -> tuple[int, int]:
        """Prompt tokens computed so far, and to compute in all (reused ones not counted)."""
        if self._generation is None:
            return 0, 0
        return self._generation.prefill_done, self._generation.prefill_total

    @property
    def stats(self) -> ReplyStats | None:
        """Measured so far; final once done, and then also in `message.stats`. None: the engine never started."""
        if self._generation is None:
            return None
        measured = self._generation.stats
        return ReplyStats(
            prompt_tokens=measured.prompt_tokens,
            reused_tokens=measured.reused_tokens,
            prefill_tokens=measured.prefill_tokens,
            new_tokens=measured.new_tokens,
            thinking_tokens=self._thinking_tokens,
            first_token_s=measured.first_token_s if measured.new_tokens else None,
            prefill_s=measured.prefill_s,
            decode_s=measured.decode_s,
            thinking_s=self._thinking_ns / 1e9,
            tokens_per_s=measured.tokens_per_s or None,
            prefill_tokens_per_s=measured.prefill_tokens_per_s or None,
        )

    def poll(self) -> TurnUpdate:
        """Take what the engine has ready. Never blocks. After `done` it returns empty updates."""
        if self._done or self._generation is None:
            self._done = True
            return TurnUpdate("", "", (), done=True)
        finished = self._generation.done  # asked before draining: then what is drained is all there is
        tokens = tuple(self._generation.drain())
        pieces = [self._take(token) for token in tokens]
        self._budget.heed(self._generation, self._thinking_tokens, self._splitter.part)
        if finished:
            pieces.append(self._splitter.finish())
        thinking, answer = self._write(pieces)
        if finished:
            self._finish(self._generation)
        return TurnUpdate(thinking, answer, tokens, self._done, tuple(pieces))

    def __iter__(self) -> Iterator[TurnUpdate]:
        """Updates until done, waiting in between without holding the GIL."""
        while not self._done:
            update = self.poll()
            if update.tokens or update.done:
                yield update
            elif self._generation is not None:
                self._generation.wait(WAIT_S)

    def stop(self) -> None:
        """Ask the engine to stop. Returns at once; polls go on until done. The partial text stays, state "stopped"."""
        if self._generation is not None and not self._done:
            self._generation.cancel()

    def update(self, sampling: SamplingOptions) -> None:
        """Draw differently from the next token on. A seed that is not given stays what it was."""
        self.sampling = self._resolved(sampling if sampling.seed is not None else replace(sampling, seed=self.seed))
        self._budget.limit, self.message.seed = sampling.thinking_budget, self.seed
        if self._generation is not None and not self._done:
            self._generation.update(self.sampling)

    @property
    def loops(self) -> bool:
        """The likeliest token always was taken, and the reply goes round in a circle."""
        return self.sampling.temperature == 0 and loop_period(self.message.token_ids) is not None

    def _resolved(self, sampling: SamplingOptions) -> SamplingParams:
        model = self._model
        params = resolve(sampling, model.defaults, thinking=self.thinking, vocab_limit=model.tokenizer.vocab_size)
        return replace(params, top_logprobs=self._alternatives)

    def _replay(self) -> None:
        """Put the splitter where a continued reply left off, and its message's texts exactly to that."""
        message = self.message
        if not message.token_ids and message.content:  # written by hand: it has text, and no tokens yet
            message.token_ids = self._model.tokenizer.encode(message.content)
            close = self._model.tokenizer.think_close
            if self._splitter.part == "thinking" and close is not None:
                message.token_ids = [close, *self._model.tokenizer.encode("\n\n"), *message.token_ids]
        message.thinking = message.content = ""
        self._write([self._splitter.push(token) for token in message.token_ids])

    def _take(self, token: Token) -> tuple[Part, str]:
        if token.stop:
            return self._splitter.part, ""
        self.message.trace.add(token, at=len(self.message.token_ids))
        self.message.token_ids.append(token.id)
        part, text = self._splitter.push(token.id)
        if part == "thinking":
            self._thinking_tokens += 1
            self._thinking_ns += token.ns
        return part, text

    def _write(self, pieces: Sequence[tuple[Part, str]]) -> tuple[str, str]:
        """Add them to the message, in one piece each: a text that grew by every token would be copied as often."""
        thinking = "".join(text for part, text in pieces if part == "thinking")
        answer = "".join(text for part, text in pieces if part == "answer")
        self.message.thinking += thinking
        self.message.content += answer
        return thinking, answer

    def _finish(self, generation: Generation) -> None:
        message = self.message
        message.finish_reason = generation.finish_reason
        message.stats = self.stats
        if generation.finish_reason == "error":
            self._fail(generation.error or Qwen3Error("the engine failed and gave no reason"))
            return
        message.state = "stopped" if generation.finish_reason == "cancelled" else "complete"
        message.note = self._note(generation.finish_reason)
        self._done = True

    def _note(self, finish_reason: str | None) -> str | None:
        if finish_reason == "length":
            limit = self.sampling.max_new_tokens
            stats = self.message.stats
            if limit is not None and stats is not None and stats.new_tokens >= limit:
                return f"cut short: the reply reached its limit of {limit} tokens"
            return f"cut short: the context of {self._model.context} tokens is full"
        if finish_reason == "stop" and not self.message.content:
            return "the model ended its reply without an answer"
        return None

    def _fail(self, error: Qwen3Error) -> None:
        self.error = error
        self.message.state, self.message.finish_reason, self.message.note = "error", "error", str(error)
        self._done = True


def _thinking_of(model: ChatModel, message: Message, wanted: bool | None) -> bool:
    """A continued reply goes on as it began; one written by hand has begun with its answer."""
    if message.token_ids and message.thought is not None:
        return message.thought
    return model.thinks(False if message.content else wanted)
