"""The subcommands of `qwen3-chat`: their names, what they do, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qwen3_chat.app.flags import Parser

__all__ = ["COMMANDS", "Command"]


@dataclass(frozen=True, slots=True)
class Command:
    """One of them. Its module has `main(argv) -> exit code` and `build_parser()`, and is imported when it is needed."""

    name: str
    what: str
    module: str

    def main(self, argv: Sequence[str]) -> int:
        """Run it."""
        run = cast("Callable[[Sequence[str]], int]", import_module(self.module).main)
        return run(argv)

    def build_parser(self) -> Parser:
        """Its parser, with all flags and commands of its own."""
        build = cast("Callable[[], Parser]", import_module(self.module).build_parser)
        return build()


COMMANDS = (
    Command("sessions", "list, show, search, export, import and remove saved chats", "qwen3_chat.app.sessions"),
    Command("config", "show the settings and where they come from", "qwen3_chat.app.config"),
    Command("doctor", "say what is there, what is missing, and what helps", "qwen3_chat.app.doctor"),
    Command("bench", "measure the engine on this machine", "qwen3_chat.app.bench"),
    Command("completions", "write a script that completes commands and flags", "qwen3_chat.app.completions"),
)
