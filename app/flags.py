"""The command line's flags: what they are called, what values they take, and what they turn into."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from qwen3_chat.app.chat.hub import HubName, find
from qwen3_chat.app.chat.options import ChatOptions, EngineOptions, SamplingOptions
from qwen3_chat.app.chat.sampling_fields import FIELDS, Field

__all__ = [
    "USAGE",
    "Parser",
    "add_engine_flags",
    "build_parser",
    "chat_options",
    "engine_options",
    "model_of",
    "whole_number",
]

USAGE = 2  # exit code

DEVICE = re.compile(r"(cpu|cuda):\d+")


class Parser(argparse.ArgumentParser):
    """Ends the program with one line on a wrong flag."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat`. A wrong value ends the program with one line that names the flag."""
    parser = Parser(
        prog="qwen3-chat",
        description="Chat with a Qwen3 model in the terminal. Without --model: the small demo model that is bundled.",
        epilog="'qwen3-chat sessions' lists, shows, searches and exports saved chats, 'qwen3-chat bench' measures the "
        "engine. Exit codes: 0 ok, 1 generation failed, 2 usage, "
        "3 model missing or unreadable, 4 out of memory, 5 prompt exceeds the context, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a checkpoint folder (config.json, tokenizer.json, safetensors), a .gguf file, or a name on the hub such "
        "as Qwen/Qwen3-0.6B or owner/name:file.gguf, with @revision; what is not there is downloaded",
    )

    front = parser.add_mutually_exclusive_group()
    front.add_argument(
        "-p", "--print", metavar="QUESTION", nargs="?", const="", dest="question",
        help="answer on standard output and exit; standard input, if piped, is joined to the question",
    )  # fmt: skip
    front.add_argument("--plain", action="store_true", help="line by line, without the full screen")
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--format", choices=("text", "json", "jsonl"),
        help="of the output of -p (default: text); jsonl: an event a token as it comes, then a summary",
    )  # fmt: skip
    output.add_argument("-x", "--extract", action="store_true", help="print only the first code block of the answer")

    saved = parser.add_argument_group("saved chats")
    which = saved.add_mutually_exclusive_group()
    which.add_argument("-c", "--continue", action="store_true", dest="continue_last", help="go on with the last chat")
    which.add_argument("-r", "--resume", metavar="ID", help="go on with the chat whose id begins so")
    saved.add_argument("--no-save", action="store_false", dest="save", help="keep nothing of this chat")

    talk = parser.add_argument_group("conversation")
    talk.add_argument("--system", metavar="TEXT", type=_text, help="system prompt")
    thinking = talk.add_mutually_exclusive_group()
    thinking.add_argument("--think", action="store_true", default=None, dest="thinking", help="think before answering")
    thinking.add_argument("--no-think", action="store_false", default=None, dest="thinking", help="answer at once")

    sampling = parser.add_argument_group("sampling", "Without a flag: as the model recommends.")
    for setting in FIELDS:
        sampling.add_argument(
            setting.flag, type=_checked(setting), metavar="N" if setting.whole else "X", help=setting.what
        )

    add_engine_flags(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="progress and speed on standard error")
    parser.add_argument("--debug", action="store_true", help="show where an error came from, to report it")
    return parser


def add_engine_flags(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The flags that say how a checkpoint is loaded. `several`: --weights and --devices may be repeated, as lists."""
    repeated: dict[str, Any] = {"action": "append"} if several else {"default": "auto"}
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--context", type=whole_number(2, 2**31 - 1), metavar="N", help="tokens, prompt and reply together"
    )
    engine.add_argument(
        "--weights",
        choices=("auto", "f32", "f16", "bf16", "int8", "int4"),
        help="number format of the weights; int8 and int4 are rounded from the checkpoint's while it loads",
        **repeated,
    )
    engine.add_argument("--kv", choices=("auto", "f32", "bf16"), default="auto", help="number format of the KV cache")
    engine.add_argument("--devices", type=_devices, metavar="LIST", help="auto, or such as cpu:0,cpu:1", **repeated)
    engine.add_argument("--threads", type=whole_number(1, 4096), metavar="N", help="CPU threads in all")


def chat_options(arguments: argparse.Namespace) -> ChatOptions:
    """The parsed flags as options. Opens no file."""
    return ChatOptions(
        model=model_of(arguments),
        engine=engine_options(arguments),
        sampling=SamplingOptions(
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            top_k=arguments.top_k,
            min_p=arguments.min_p,
            presence_penalty=arguments.presence_penalty,
            repetition_penalty=arguments.repetition_penalty,
            seed=arguments.seed,
            max_tokens=arguments.max_tokens,
            thinking_budget=arguments.thinking_budget,
        ),
        thinking=arguments.thinking,
        system=arguments.system,
        is_demo=arguments.model is None,
        continue_last=arguments.continue_last,
        resume=arguments.resume,
        save=arguments.save,
        verbose=arguments.verbose,
        debug=arguments.debug,
    )


def model_of(arguments: argparse.Namespace) -> Path | HubName:
    """The model of --model, see `hub.find`; without, the bundled one."""
    if arguments.model is not None:
        return find(arguments.model)
    from qwen3_chat.models import demo

    return demo.path()


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """What `add_engine_flags` asked for."""
    return EngineOptions(
        devices=arguments.devices,
        weights=arguments.weights,
        kv=arguments.kv,
        context=arguments.context,
        threads=arguments.threads,
    )


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            text = version("qwen3-chat")
        except PackageNotFoundError:  # run from the source tree
            text = "(not installed)"
        sys.stdout.write(f"{parser.prog} {text}\n")
        parser.exit()


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Turns a flag's value into an int of this range."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, not {text!r}")
        return value

    return whole


def _checked(setting: Field) -> Callable[[str], float | int]:
    def check(text: str) -> float | int:
        try:
            return setting.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check


def _devices(text: str) -> str:
    names = text.split(",")
    if text != "auto" and not all(DEVICE.fullmatch(name) for name in names):
        raise argparse.ArgumentTypeError(f"expected auto, or names such as cpu:0,cpu:1, not {text!r}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} names a device twice")
    return text


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("the text is not valid UTF-8") from None
    return text
