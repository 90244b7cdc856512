"""The command `qwen3-chat`: picks the front, and owns exit codes and standard error.

Whatever happens, a person gets one line that says what is wrong and what helps; tracebacks come with --debug only.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from qwen3_chat.app.chat.options import ChatOptions
    from qwen3_chat.app.settings.resolve import Settings

__all__ = ["exit_code", "main"]

OK, FAILED, USAGE, NO_MODEL, NO_MEMORY, TOO_LONG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the process's own) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the character shows "?"
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except SystemExit as done:  # argparse: --help, --version, usage
        return done.code if isinstance(done.code, int) else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if "--debug" in arguments:
            import traceback

            traceback.print_exception(error)
        return _report(error)
    return code


def exit_code(error: BaseException) -> int:
    """The exit code that stands for this kind of error."""
    # By name: the engine's errors are not worth loading the engine for when it never got that far.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for names, code in (
        ({"OptionError", "DeviceError"}, USAGE),
        ({"ConfigError", "CheckpointError", "TemplateError"}, NO_MODEL),
        ({"OutOfMemory", "MemoryError"}, NO_MEMORY),
        ({"ContextOverflow"}, TOO_LONG),
        ({"Cancelled"}, INTERRUPTED),
    ):
        if kinds & names:
            return code
    return FAILED


def _open_missing_streams() -> None:
    """Python has None for a stream that the caller closed (`<&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _dispatch(arguments: list[str]) -> int:
    if arguments:
        from qwen3_chat.app.commands import COMMANDS

        for command in COMMANDS:
            if command.name == arguments[0]:
                return command.main(arguments[1:])

    from qwen3_chat.app.flags import build_parser, chat_options, settings

    parser = build_parser()
    parsed = parser.parse_args(arguments)
    for flag, given in (("--format", parsed.format is not None), ("-x", parsed.extract)):
        if given and parsed.question is None:
            parser.error(f"argument {flag}: needs -p")
    if parsed.plain and parsed.question is not None:
        parser.error("argument --plain: not allowed with argument -p")
    question = None if parsed.question is None else _question(parser, parsed.question)
    chosen = settings(parsed)
    return _run(chat_options(parsed, chosen), chosen, parsed, question)


def _run(options: ChatOptions, chosen: Settings, parsed: argparse.Namespace, question: str | None) -> int:
    from qwen3_chat.app.chat.model import preflight

    if isinstance(options.model, Path):
        preflight(options.model)
    if question is not None:
        from qwen3_chat.app import one_shot

        output: one_shot.Output = "code" if parsed.extract else parsed.format or "text"
        return INTERRUPTED if one_shot.answer(options, question, output) == "cancelled" else OK
    tty = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))  # Textual draws on the last
    if chosen.value("plain") or not tty or os.environ.get("TERM") == "dumb":
        from qwen3_chat.app import plain

        return plain.repl(options)
    from qwen3_chat.app import tui

    return tui.run(options, chosen)


def _question(parser: argparse.ArgumentParser, argument: str) -> str:
    """The argument of -p, joined with what is piped in."""
    piped = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    parts = []
    for source, data in (("argument -p", os.fsencode(argument)), ("standard input", piped)):
        try:
            parts.append(data.decode().strip())
        except UnicodeDecodeError as error:
            parser.error(f"{source}: not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}")
    question = "\n\n".join(part for part in parts if part)
    if not question:
        parser.error("argument -p: needs a question, as its value or on standard input")
    return question


def _report(error: Exception) -> int:
    from qwen3_chat.models.errors import Qwen3Error

    code = exit_code(error)
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # a full disk under the output, say: nothing to report
        text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    elif not isinstance(error, Qwen3Error) and code == FAILED:
        text = f"unexpected {type(error).__name__}: {text} (please report it, with what --debug shows)"
    elif not text:
        text = "out of memory" if code == NO_MEMORY else type(error).__name__
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    sys.stderr.write(f"qwen3-chat: {line}\n".encode(errors="replace").decode())
    return code
