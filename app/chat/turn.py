"""One reply: prompt ids -> generation -> thinking and answer, apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message, ReplyStats
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.options import SamplingOptions
    from qwen3_chat.engine import KVCache, SamplingParams, Token
    from qwen3_chat.models.errors import Qwen3Error

__all__ = ["Phase", "Turn", "TurnUpdate"]

Phase = Literal["prefill", "thinking", "answer", "done"]


@dataclass(frozen=True, slots=True)
class TurnUpdate:
    """What came since the last poll."""

    thinking_delta: str
    answer_delta: str
    tokens: tuple[Token, ...]  # the engine's own, stop token included
    done: bool


class Turn:
    """One reply in the making. It alone writes to its message until it is done.

    Under a screen: `poll()` from a timer, about 20 times a second. Elsewhere: iterate, which blocks between updates.
    A failure never raises from here: the message gets state "error" and a note, and `error` holds the typed error.
    """

    message: Message  # the reply; content and thinking always hold all deltas so far
    thinking: bool  # whether this reply was asked to think
    seed: int
    sampling: SamplingParams
    prompt_ids: list[int]
    error: Qwen3Error | None

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
    ) -> Turn:
        """Queue a reply to the active path and return at once.

        `message` is what `begin_reply`, `regenerate` or `continue_` gave; None calls `begin_reply`. A message with text
        is continued from its own tokens. `sampling` is resolved here (seed drawn if None), see `sampling.resolve`.
        """
        raise NotImplementedError

    @property
    def phase(self) -> Phase:
        """Where the reply is: reading the prompt, thinking, answering, done."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """The message is final. True only after the poll that said so."""
        raise NotImplementedError

    @property
    def prefill(self) -> tuple[int, int]:
        """Prompt tokens computed so far, and to compute in all (reused ones not counted)."""
        raise NotImplementedError

    @property
    def stats(self) -> ReplyStats:
        """Measured so far; final once done, and then also in `message.stats`."""
        raise NotImplementedError

    def poll(self) -> TurnUpdate:
        """Take what the engine has ready. Never blocks. After `done` it returns empty updates."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[TurnUpdate]:
        """Updates until done, waiting in between without holding the GIL."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the engine to stop. Returns at once; polls go on until done. The partial text stays, state "stopped"."""
        raise NotImplementedError
