"""What one shot and line mode share: standard streams, Ctrl+C, and the progress of a load."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.hub import HubName
from qwen3_chat.app.chat.model import ChatModel

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Message
    from qwen3_chat.app.chat.hub.download import Step
    from qwen3_chat.app.chat.options import ChatOptions
    from qwen3_chat.engine import Progress

__all__ = ["as_json", "download", "load", "on_interrupt", "warn", "write", "write_stats"]

# Sequences that move a cursor or write a clipboard are no part of an answer: C0 but tab and newline, DEL, C1.
CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def write(stream: TextIO, text: str) -> None:
    """Write and flush; a terminal gets no control characters."""
    if text:
        stream.write(text.translate(CONTROLS) if stream.isatty() else text)
        stream.flush()


def as_json(value: object, indent: int | None = None) -> str:
    """JSON for standard output; escaped where the stream could not take the characters, which means the same."""
    ascii_only = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent)


def warn(text: str) -> None:
    """One line on standard error, for what is worth knowing and no reason to stop."""
    line = "".join(char if char.isprintable() else " " for char in text)
    sys.stderr.write(f"qwen3-chat: {line}\n".encode(errors="replace").decode())


def write_stats(options: ChatOptions, reply: Message) -> None:
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


def download(model: Path | HubName, *, verbose: bool = False) -> Path:
    """The path of a model. One of the hub's is downloaded, which standard error says first. Ctrl+C raises Cancelled."""
    if isinstance(model, Path):
        return model
    from qwen3_chat.app.chat.hub.download import Download

    wanted = Download.of(model)
    if wanted.missing:
        size = f"{wanted.missing / 2**20:,.0f} MiB" if wanted.missing >= 1 << 20 else f"{wanted.missing} bytes"
        warn(f"downloading {model} from {wanted.endpoint} to {wanted.cache}: {size}")
    with _progress(verbose) as progress:
        return wanted.run(progress)


def load(options: ChatOptions) -> ChatModel:
    """Load the model, with progress on standard error where somebody watches. Ctrl+C raises Cancelled."""
    path = download(options.model, verbose=options.verbose)
    with _progress(options.verbose) as progress:
        model = ChatModel.load(path, options.engine, progress)
    if options.verbose and options.engine.devices == "auto":
        from qwen3_chat.engine import why_no_gpu

        if reason := why_no_gpu():
            sys.stderr.write(f"running on {','.join(model.engine.devices)}: {reason}\n")
    try:
        model.check_thinking(options.thinking)
    except OptionError:
        model.close()
        raise
    return model


@contextmanager
def _progress(verbose: bool) -> Iterator[Callable[[Progress | Step], bool]]:
    """Shows stages on standard error, and is False after Ctrl+C."""
    shown = ""

    def progress(step: Progress | Step) -> bool:
        nonlocal shown
        if sys.stderr.isatty():
            line = f"loading: {step.stage} {step.done / max(1, step.total):4.0%}"
            if line != shown:
                shown = line
                sys.stderr.write(f"\r{shown}")
        elif verbose and step.stage != shown:
            shown = step.stage
            sys.stderr.write(f"loading: {shown}\n")
        return not interrupted

    with on_interrupt(lambda: None) as interrupted:
        try:
            yield progress
        finally:
            if shown and sys.stderr.isatty():
                sys.stderr.write("\r" + " " * len(shown) + "\r")


@contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[list[int]]:
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
