"""One question, one answer: standard output is data, everything else goes to standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from qwen3_chat.app import streams
from qwen3_chat.app.chat.code_blocks import code_blocks
from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.history import open_chat
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.options import ChatOptions
    from qwen3_chat.app.chat.parts import Part
    from qwen3_chat.app.chat.turn import TurnUpdate
    from qwen3_chat.engine import Token

__all__ = ["NoCodeBlock", "Output", "answer"]

Output = Literal["text", "json", "jsonl", "code"]


class NoCodeBlock(Qwen3Error):  # noqa: N818 - it is what is said of the reply
    """-x found nothing to print."""


def answer(
    options: ChatOptions, question: str, output: Output, given: Sequence[Mapping[str, Any]] | None = None
) -> str:
    """Answer the question on standard output and return the finish reason: stop, length or cancelled.

    The chat of -c or -r goes on with it; or else `given`, the messages before it, is all there is, and nothing is
    saved. Raises the typed error of a failed load or reply, and NoCodeBlock.
    """
    opened = open_chat(options if given is None else replace(options, save=False))
    history, conversation = opened.history, opened.conversation
    if opened.problem is not None:
        streams.warn(f"{opened.problem}; this chat is not saved")
    problem: str | None = None
    try:
        with streams.load(options) as model:
            if given is None:
                conversation.add_user(question)
            if history is not None:
                history.save(conversation)
            messages = None if given is None else _joined(options.system, given, question)
            turn = Turn.start(
                model, conversation, model.new_cache(), options.sampling, options.thinking, messages=messages
            )
            chat = history.current.chat_id if history is not None and history.current is not None else None
            printer = _PRINTERS[output](model, turn, chat)
            with streams.on_interrupt(turn.stop):
                for update in turn:
                    printer.update(update)
                    if history is not None:
                        history.keep(conversation)
            printer.finish()
            if turn.error is not None:
                raise turn.error
            streams.write_stats(options, turn.message)
            return turn.message.finish_reason or "stop"
    finally:
        if history is not None and (problem := history.close()) is not None:
            streams.warn(f"{problem}; this chat is not saved")


def _joined(system: str | None, given: Sequence[Mapping[str, Any]], question: str) -> list[Mapping[str, Any]]:
    """The messages that were given, between --system and the question."""
    if system is not None and given[0]["role"] == "system":
        raise OptionError("--system: the first of the --messages is a system prompt already; leave one of them out")
    before = [{"role": "system", "content": system}] if system is not None else []
    return [*before, *given, *([{"role": "user", "content": question}] if question else [])]


class _Printer:
    """Writes a reply as it comes, or at its end."""

    def __init__(self, model: ChatModel, turn: Turn, chat: str | None) -> None:
        """`chat`: the id under which it is saved."""
        self.model = model
        self.turn = turn
        self.chat = chat

    def update(self, update: TurnUpdate) -> None:
        """More of the reply has come."""

    def finish(self) -> None:
        """It has ended, well or not."""


class _Text(_Printer):
    """The answer as it streams."""

    def update(self, update: TurnUpdate) -> None:
        streams.write(sys.stdout, update.answer_delta)

    def finish(self) -> None:
        if self.turn.message.content:
            streams.write(sys.stdout, "\n")
        for call in self.turn.message.tool_calls:
            streams.warn(f"the reply calls {call.name} with {call.arguments}; --format json gives the calls")


class _Code(_Printer):
    """The first code block of the answer, once it is whole: half a program is worse than none."""

    def finish(self) -> None:
        if self.turn.error is not None:
            return
        blocks = code_blocks(self.turn.message.content)
        if not blocks:
            raise NoCodeBlock("the reply has no code block")
        streams.write(sys.stdout, blocks[0].code + "\n")


class _Json(_Printer):
    """One object."""

    def finish(self) -> None:
        if self.turn.error is None:
            _write_line(_summary(self))


class _JsonLines(_Printer):
    """One event a token, as it comes, and the summary as the last line.

    An event waits for the next one: text that the last token of a reply had held back belongs to it.
    """

    def __init__(self, model: ChatModel, turn: Turn, chat: str | None) -> None:
        super().__init__(model, turn, chat)
        self._waiting: dict[str, Any] | None = None

    def update(self, update: TurnUpdate) -> None:
        for token, (part, text) in zip(update.tokens, update.pieces, strict=False):
            self._flush()
            self._waiting = _event(token, part, text)
        for part, text in update.pieces[len(update.tokens) :]:
            if self._waiting is not None and text:
                self._waiting["part"] = part
                self._waiting["text"] += text
        sys.stdout.flush()

    def finish(self) -> None:
        self._flush()
        if self.turn.error is None:
            _write_line(_summary(self))

    def _flush(self) -> None:
        if self._waiting is not None:
            _write_line(self._waiting)
            self._waiting = None


def _event(token: Token, part: Part, text: str) -> dict[str, Any]:
    return {"id": token.id, "text": text, "logprob": round(token.logprob, 6), "ns": token.ns, "part": part}


_PRINTERS: dict[str, type[_Printer]] = {"text": _Text, "json": _Json, "jsonl": _JsonLines, "code": _Code}


def _summary(printer: _Printer) -> dict[str, Any]:
    model, turn = printer.model, printer.turn
    reply, stats = turn.message, turn.stats
    if stats is None:
        return {}
    record = {
        "answer": reply.content,
        "thinking": reply.thinking,
        "tool_calls": [call.as_json(number) for number, call in enumerate(reply.tool_calls)],
        "finish_reason": reply.finish_reason,
        "prompt_tokens": stats.prompt_tokens,
        "new_tokens": stats.new_tokens,
        "thinking_tokens": stats.thinking_tokens,
        "seed": turn.seed,
        "chat": printer.chat,
        "model": str(model.path),
        "load_s": model.engine.load_seconds,
        "first_token_s": stats.first_token_s,
        "prefill_s": stats.prefill_s,
        "decode_s": stats.decode_s,
        "prefill_tokens_per_s": stats.prefill_tokens_per_s,
        "tokens_per_s": stats.tokens_per_s,
    }
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items()}


def _write_line(record: dict[str, Any]) -> None:
    sys.stdout.write(streams.as_json(record) + "\n")
