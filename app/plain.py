"""Line mode and one shot: a chat that a pipe and a screen reader can follow."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from qwen3_chat.app.chat.budget import measure
from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.idle import IdlePrefill
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.turn import Turn

if TYPE_CHECKING:
    from qwen3_chat.engine import Progress

__all__ = ["load", "one_shot", "repl"]

SENTENCE = re.compile(r".*(?:[.!?:][\"')\]]*\s|[。！？\n])", re.DOTALL)
# Sequences that move a cursor or write a clipboard are no part of an answer: C0 but tab and newline, DEL, C1.
CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def one_shot(options: ChatOptions, question: str, output_format: str) -> str:
    """Answer one question on standard output, as "text" (the answer, streaming) or one "json" object.

    Returns the finish reason: stop, length or cancelled. Raises the typed error of a failed load or reply.
    """
    with load(options) as model:
        conversation = Conversation(options.system)
        conversation.add_user(question)
        turn = Turn.start(model, conversation, model.new_cache(), options.sampling, options.thinking)
        with _on_interrupt(turn.stop):
            for update in turn:
                if output_format == "text":
                    _write(sys.stdout, update.answer_delta)
        reply = turn.message
        if output_format == "json" and turn.error is None:
            _write_json(model, turn)
        elif output_format == "text" and reply.content:
            _write(sys.stdout, "\n")
        if turn.error is not None:
            raise turn.error
        _write_stats(options, reply)
        return reply.finish_reason or "stop"


def repl(options: ChatOptions) -> int:
    """Converse line by line until end of input; Ctrl+C stops a reply. Returns the exit code.

    Typed errors of loading are raised; a reply that fails is reported, and the conversation goes on.
    """
    interactive = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    with load(options) as model:
        if interactive:
            import readline  # noqa: F401  (makes input() a line editor)

            sys.stderr.write(f"Talking to {model.name}. Ctrl+C stops a reply, Ctrl+D leaves.\n")
        conversation, cache, failed = Conversation(options.system), model.new_cache(), False
        idle = IdlePrefill(model, conversation, cache, options.thinking)
        while (line := _read_line(interactive)) is not None:
            if not line.strip():
                continue
            budget = measure(model, conversation, line, options.thinking, options.sampling.max_tokens)
            if not budget.can_send:
                _say(f"This does not fit: {budget.prompt_tokens} tokens, and the context has {budget.context}.")
                failed = True
                continue
            if not budget.fits:
                _say(f"The context is nearly full: {budget.context - budget.prompt_tokens} tokens are left to reply.")
            conversation.add_user(line)
            idle.cancel()
            turn = Turn.start(model, conversation, cache, options.sampling, options.thinking)
            with _on_interrupt(turn.stop):
                _speak(turn)
            failed = failed or turn.error is not None
            _write_stats(options, turn.message)
            idle = IdlePrefill(model, conversation, cache, options.thinking)
        return 1 if failed and not interactive else 0


def load(options: ChatOptions) -> ChatModel:
    """Load the model, with progress on standard error where somebody watches. Ctrl+C raises Cancelled."""
    shown = ""

    def progress(step: Progress) -> bool:
        nonlocal shown
        if sys.stderr.isatty():
            shown = f"loading: {step.stage} {step.done / max(1, step.total):4.0%}"
            sys.stderr.write(f"\r{shown}")
        elif options.verbose and step.stage != shown:
            shown = step.stage
            sys.stderr.write(f"loading: {shown}\n")
        return not interrupted

    with _on_interrupt(lambda: None) as interrupted:
        try:
            model = ChatModel.load(options.model, options.engine, progress)
        finally:
            if shown and sys.stderr.isatty():
                sys.stderr.write("\r" + " " * len(shown) + "\r")
    try:
        model.check_thinking(options.thinking)
    except OptionError:
        model.close()
        raise
    return model


def _speak(turn: Turn) -> None:
    """Write a reply sentence by sentence."""
    waiting, said, thinking = "", False, False
    for update in turn:
        if update.thinking_delta and not thinking:
            thinking = True
            _say("The assistant is thinking.")
        waiting += update.answer_delta
        sentences = waiting if update.done else (SENTENCE.match(waiting) or [""])[0]
        waiting = waiting[len(sentences) :]
        if sentences:
            _write(sys.stdout, sentences if said else f"Assistant: {sentences}")
            said = True
    if said:
        _write(sys.stdout, "\n")
    reply = turn.message
    if reply.state == "stopped":
        _say("The reply was stopped.")
    elif reply.note:
        _say(f"Error: {reply.note}." if reply.state == "error" else f"Note: {reply.note}.")


def _say(sentence: str) -> None:
    _write(sys.stdout, sentence + "\n")


def _read_line(interactive: bool) -> str | None:
    """What the person says next; None at the end of input. Piped input is echoed, so that the output is whole."""
    try:
        line = input("You: ").encode(errors="replace").decode()
    except EOFError:
        _write(sys.stdout, "\n")
        return None
    if not interactive:
        _say(line)
    return line


def _write(stream: TextIO, text: str) -> None:
    if text:
        stream.write(text.translate(CONTROLS) if stream.isatty() else text)
        stream.flush()


def _write_json(model: ChatModel, turn: Turn) -> None:
    reply, stats = turn.message, turn.stats
    if stats is None:
        return
    record = {
        "answer": reply.content,
        "thinking": reply.thinking,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": stats.prompt_tokens,
        "new_tokens": stats.new_tokens,
        "thinking_tokens": stats.thinking_tokens,
        "seed": turn.seed,
        "model": str(model.path),
        "load_s": model.engine.load_seconds,
        "first_token_s": stats.first_token_s,
        "prefill_s": stats.prefill_s,
        "decode_s": stats.decode_s,
        "prefill_tokens_per_s": stats.prefill_tokens_per_s,
        "tokens_per_s": stats.tokens_per_s,
    }
    record = {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items()}
    # Escaped where the stream could not take the characters themselves; JSON means the same either way.
    ascii_only = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(record, ensure_ascii=ascii_only) + "\n")


def _write_stats(options: ChatOptions, reply: Message) -> None:
    """One line on standard error under a finished reply, for whoever watches."""
    stats = reply.stats
    if stats is None or not (options.verbose or sys.stderr.isatty()):
        return
    parts = [f"{stats.new_tokens} tokens"]
    if stats.first_token_s is not None:
        parts.append(f"first token {stats.first_token_s * 1000:.0f} ms")
    if stats.tokens_per_s is not None:
        parts.append(f"{stats.tokens_per_s:.1f} tokens/s")
    parts += [f"reused {stats.reused_tokens}", f"seed {reply.seed}"]
    if reply.note:
        parts.append(reply.note)
    sys.stderr.write(", ".join(parts) + "\n")


@contextmanager
def _on_interrupt(action: Callable[[], None]) -> Iterator[list[int]]:
    """The first Ctrl+C calls `action` and fills the list given; a second one interrupts as ever."""
    signals: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signals.append(number)
        action()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, before)
