"""`qwen3-chat completions`: what a shell needs to complete commands, flags and their values, made from the parsers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import shtab

from qwen3_chat.app import flags, streams
from qwen3_chat.app.commands import COMMANDS
from qwen3_chat.app.flags import Parser

__all__ = ["build_parser", "main", "whole_parser"]

SHELLS = ("bash", "zsh", "fish")
_FILES = {"model", "files", "output"}  # what arguments name files


def main(argv: Sequence[str]) -> int:
    """Print the script for a shell."""
    arguments = build_parser().parse_args(argv)
    streams.write(sys.stdout, shtab.complete(whole_parser(), arguments.shell) + "\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat completions`."""
    parser = Parser(
        prog="qwen3-chat completions",
        description="Print a script that completes commands and flags.",
        epilog='bash: eval "$(qwen3-chat completions bash)" in ~/.bashrc\n'
        "zsh:  qwen3-chat completions zsh > a folder of $fpath/_qwen3-chat\n"
        "fish: qwen3-chat completions fish > ~/.config/fish/completions/qwen3-chat.fish",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat` with those of all its subcommands below it; `main` runs them one by one."""
    parser = flags.build_parser()
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        commands.add_parser(command.name, help=command.what, parents=[command.build_parser()], add_help=False)
    _complete_files(parser)
    return parser


def _complete_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_files(below)
        elif action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
