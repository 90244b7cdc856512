"""The command line's flags: what they are called, what values they take, and what they turn into.

Most are made from the table of settings; the others are about one run alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from qwen3_chat.app.chat.hub import HubName, find
from qwen3_chat.app.chat.options import ChatOptions, EngineOptions, SamplingOptions
from qwen3_chat.app.commands import COMMANDS
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.settings.kinds import Choice, Kind, Switch, Value, Whole
from qwen3_chat.app.settings.nearest import nearest
from qwen3_chat.app.settings.resolve import Settings, resolve
from qwen3_chat.app.settings.schema import SECTIONS, SETTINGS, Setting

__all__ = [
    "USAGE",
    "Parser",
    "add_engine_flags",
    "build_parser",
    "chat_options",
    "engine_options",
    "given",
    "model_of",
    "settings",
    "whole_number",
]

USAGE = 2  # exit code


class Parser(argparse.ArgumentParser):
    """Ends the program with one line on a wrong flag, which names the nearest right one."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [*self._option_string_actions, *(command.name for command in COMMANDS)]
            near = nearest(unknown[0].partition("=")[0], known)
            hint = f", did you mean {near}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return parsed


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat`. A wrong value ends the program with one line that names the flag."""
    parser = Parser(
        prog="qwen3-chat",
        usage="%(prog)s [flags]\n       %(prog)s COMMAND ...",
        description="Chat with a Qwen3 model in the terminal.",
        epilog="commands:\n"
        + "".join(f"  {command.name:<12}{command.what}\n" for command in COMMANDS)
        + "\nConversation, sampling, engine and screen can be set in config.toml, too, and by variables such as\n"
        "QWEN3_CHAT_TOP_P; 'qwen3-chat config show' lists all, and who has set them.\n"
        "Exit codes: 0 ok, 1 generation failed, 2 usage, 3 model missing or unreadable, 4 out of memory,\n"
        "5 prompt exceeds the context, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    run = parser.add_argument_group("this run")
    front = run.add_mutually_exclusive_group()
    front.add_argument(
        "-p", "--print", metavar="QUESTION", nargs="?", const="", dest="question",
        help="answer on standard output and exit; standard input, if piped, is joined to the question",
    )  # fmt: skip
    output = run.add_mutually_exclusive_group()
    output.add_argument(
        "--format", choices=("text", "json", "jsonl"),
        help="of the output of -p (default: text); jsonl: an event a token as it comes, then a summary",
    )  # fmt: skip
    output.add_argument("-x", "--extract", action="store_true", help="print only the first code block of the answer")
    which = run.add_mutually_exclusive_group()
    which.add_argument("-c", "--continue", action="store_true", dest="continue_last", help="go on with the last chat")
    which.add_argument("-r", "--resume", metavar="ID", help="go on with the chat whose id begins so")
    run.add_argument("--profile", metavar="NAME", help="take the settings of [profile.NAME] in config.toml")
    run.add_argument("-v", "--verbose", action="store_true", help="progress and speed on standard error")
    run.add_argument("--debug", action="store_true", help="show where an error came from, to report it")
    run.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    run.add_argument("-h", "--help", action="help", help="show this and exit")

    for section, title in SECTIONS.items():
        group = parser.add_argument_group(title)
        for setting in SETTINGS:
            if setting.section == section:
                add_flag(group, setting)
    return parser


def add_flag(group: argparse._ArgumentGroup, setting: Setting) -> None:
    """The setting's flag; for a switch the negative one, too."""
    if isinstance(setting.kind, Switch):
        both = group.add_mutually_exclusive_group()
        what = setting.what if setting.listed else argparse.SUPPRESS
        both.add_argument(setting.flag, action="store_true", default=None, dest=setting.field, help=what)
        off = f"--no-{setting.name}"
        what = setting.off or argparse.SUPPRESS
        both.add_argument(off, action="store_false", default=None, dest=setting.field, help=what)
        return
    group.add_argument(setting.flag, dest=setting.field, help=setting.what, **_value_of(setting.kind))


def add_engine_flags(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The flags that say how a checkpoint is loaded. `several`: --weights and --devices may be repeated, as lists."""
    group = parser.add_argument_group(SECTIONS["engine"])
    for setting in SETTINGS:
        if setting.section == "engine":
            repeated = several and setting.name in ("weights", "devices")
            more: dict[str, Any] = {"action": "append"} if repeated else {"default": setting.default}
            group.add_argument(setting.flag, help=setting.what, **_value_of(setting.kind), **more)


def given(arguments: argparse.Namespace) -> dict[str, Value | None]:
    """What the flags say, by the settings' names; None: nothing."""
    return {setting.name: getattr(arguments, setting.field) for setting in SETTINGS}


def settings(arguments: argparse.Namespace, config: Config | None = None) -> Settings:
    """The settings that hold for this run, of flags, environment and file. Raises SettingsError."""
    return resolve(given(arguments), os.environ, Config.load() if config is None else config, arguments.profile)


def chat_options(arguments: argparse.Namespace, chosen: Settings) -> ChatOptions:
    """Settings and flags as options. Opens no model."""
    model = chosen.value("model")
    return ChatOptions(
        model=model_of(model),
        engine=EngineOptions(**_fields(chosen, "engine")),
        sampling=SamplingOptions(**_fields(chosen, "sampling")),
        thinking=chosen.value("think"),
        system=chosen.value("system"),
        is_demo=model is None,
        continue_last=arguments.continue_last,
        resume=arguments.resume,
        save=chosen.value("save"),
        verbose=arguments.verbose,
        debug=arguments.debug,
    )


def model_of(model: str | None) -> Path | HubName:
    """The model that was named, see `hub.find`; the bundled one if none was."""
    if model is not None:
        return find(model)
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


def _fields(chosen: Settings, section: str) -> dict[str, Any]:
    return {setting.field: chosen.value(setting.name) for setting in SETTINGS if setting.section == section}


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


def whole_number(low: int, high: int) -> Callable[[str], Value]:
    """Turns a flag's value into an int of this range."""
    return _checked(Whole(low, high))


def _value_of(kind: Kind) -> dict[str, Any]:
    """How argparse takes a value of this kind."""
    if isinstance(kind, Choice):
        return {"choices": kind.values}
    return {"type": _checked(kind), "metavar": kind.metavar}


def _checked(kind: Kind) -> Callable[[str], Value]:
    def check(text: str) -> Value:
        try:
            return kind.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check
