"""Everything that can be pressed, typed and passed, as data: `python -m qwen3_chat.app.manual` prints it as JSON.

The demo model is trained on it (`models/demo/manual.json`).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from qwen3_chat.app.commands import COMMANDS
from qwen3_chat.app.flags import build_parser
from qwen3_chat.app.tui.actions import ACTIONS

__all__ = ["manual"]


def manual() -> dict[str, list[dict[str, Any]]]:
    """The actions of the registry, the flags of the parser and the commands beside it."""
    return {
        "actions": [
            {
                "id": action.id,
                "title": action.title,
                "keys": list(action.keys),
                "slash": action.slash,
                "scope": action.scope,
            }
            for action in ACTIONS
        ],
        "flags": [
            {
                "names": sorted(flag.option_strings, key=len),
                "value": _value(flag),
                "help": (flag.help or "") % {"default": flag.default, "prog": "qwen3-chat"},
            }
            for flag in build_parser()._actions  # argparse has no public list
            if flag.option_strings and flag.help is not argparse.SUPPRESS
        ],
        "commands": [{"name": command.name, "what": command.what} for command in COMMANDS],
    }


def _value(flag: argparse.Action) -> str:
    """What follows the flag: its metavar or choices."""
    if flag.metavar:
        return flag.metavar if isinstance(flag.metavar, str) else " ".join(flag.metavar)
    if flag.choices:
        return ",".join(map(str, flag.choices))
    return "" if flag.nargs == 0 else flag.dest.upper()


def _main() -> None:
    json.dump(manual(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    _main()
