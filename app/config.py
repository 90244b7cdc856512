"""`qwen3-chat config`: where the configuration file is, and which settings hold, as TOML that could stand in it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

from qwen3_chat.app import streams
from qwen3_chat.app.flags import Parser
from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.kinds import Value
from qwen3_chat.app.settings.resolve import Held, Settings, resolve
from qwen3_chat.app.settings.schema import SECTIONS, SETTINGS, Setting

__all__ = ["build_parser", "main", "toml"]

_COLUMN = 36  # where the comments begin


def main(argv: Sequence[str]) -> int:
    """Run one of the subcommands and return the exit code. Raises SettingsError."""
    arguments = build_parser().parse_args(argv)
    if arguments.command == "path":
        streams.write(sys.stdout, f"{config_file()}\n")
        return 0
    settings = resolve({}, os.environ, Config.load(), arguments.profile)
    if arguments.json:
        streams.write(sys.stdout, streams.as_json(_as_json(settings), indent=1) + "\n")
    else:
        streams.write(sys.stdout, "\n".join(_lines(settings)) + "\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat config`."""
    parser = Parser(prog="qwen3-chat config", description="The settings.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser, dest="command")
    commands.add_parser("path", help="print where the configuration file is looked for", allow_abbrev=False)
    what = "print every setting, and where its value comes from"
    show = commands.add_parser("show", help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    show.add_argument("--profile", metavar="NAME", help="as with this profile")
    show.add_argument("--json", action="store_true", help="print JSON")
    return parser


def toml(value: Value) -> str:
    """The value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _lines(settings: Settings) -> Iterator[str]:
    config = settings.config
    there = "" if config.source.exists() else " (there is no such file)"
    yield f"# {config.source}{there}"
    if config.profiles:
        yield f"# profiles: {', '.join(config.profiles)}; this is with {settings.profile or 'none'}"
    for section in SECTIONS:
        yield from ("", f"[{section}]")
        for setting in SETTINGS:
            if setting.section == section:
                yield _line(setting, settings.held[setting.name])
    if config.keys:
        yield from ("", "[keys]")
        for action, keys in config.keys.items():
            yield f"{toml(action)} = [{', '.join(toml(key) for key in keys)}]"


def _line(setting: Setting, held: Held) -> str:
    if held.value is None:
        return f"# {setting.name}: {setting.open or 'as the model recommends'}"
    return f"{setting.name} = {toml(held.value)}".ljust(_COLUMN) + f"  # {held.origin}"


def _as_json(settings: Settings) -> dict[str, object]:
    return {
        "file": str(settings.config.source),
        "profile": settings.profile,
        "profiles": list(settings.config.profiles),
        "settings": {name: {"value": held.value, "from": held.origin} for name, held in settings.held.items()},
        "keys": {action: list(keys) for action, keys in settings.config.keys.items()},
    }
