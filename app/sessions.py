"""`qwen3-chat sessions`: the saved chats from the command line. Needs neither a model nor a screen."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from qwen3_chat.app import streams
from qwen3_chat.app.chat.errors import HistoryError, OptionError
from qwen3_chat.app.chat.history import (
    FORMATS,
    ChatHit,
    ChatSummary,
    ExportFormat,
    SavedChat,
    Store,
    export,
    import_chat,
    snippet,
)
from qwen3_chat.app.flags import Parser, whole_number

__all__ = ["build_parser", "main"]

TITLE_WIDTH, SNIPPET_WIDTH = 44, 68  # characters


def main(argv: Sequence[str]) -> int:
    """Run one of the subcommands and return the exit code. Raises HistoryError and OptionError."""
    arguments = build_parser().parse_args(argv)
    with Store() as store:
        arguments.run(store, arguments)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat sessions`."""
    parser = Parser(prog="qwen3-chat sessions", description="The saved chats.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    listing = command("list", _list, "list saved chats, the last one first")
    listing.add_argument("-n", "--number", type=whole_number(1, 2**31 - 1), metavar="N", help="no more than this many")
    show = command("show", _show, "print one chat")
    search = command("search", _search, "search in what was said and in titles; all words must be there")
    search.add_argument("words", nargs="+", metavar="WORD")
    for made in (listing, show, search):
        made.add_argument("--json", action="store_true", help="print JSON")
    write = command("export", _export, "write one chat as a document")
    write.add_argument("--format", choices=FORMATS, help="default: by the name of FILE, else md")
    write.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    read = command("import", _import, "read chats that were exported as JSON")
    read.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
    remove = command("rm", _remove, "remove chats for good")
    for made, number in ((show, None), (write, None), (remove, "+")):
        made.add_argument(
            "id" if number is None else "ids", nargs=number, metavar="ID", help="as much of an id as is needed"
        )
    return parser


def _list(store: Store, arguments: argparse.Namespace) -> None:
    chats = store.chats()[: arguments.number]
    if arguments.json:
        _write(streams.as_json([_as_json(chat) for chat in chats], indent=1))
        return
    for chat in chats:
        _write(_line(chat, store))
    if not chats:
        _note("there are no saved chats")


def _search(store: Store, arguments: argparse.Namespace) -> None:
    text = " ".join(arguments.words)
    hits = store.search(text)
    if arguments.json:
        found = [_as_json(hit.chat) | {"snippet": _snippet(hit, text)} for hit in hits]
        _write(streams.as_json(found, indent=1))
        return
    for hit in hits:
        _write(_line(hit.chat, store))
        if hit.content:
            _write(f"          {_snippet(hit, text)}")
    if not hits:
        _note(f"nothing was found for {text!r}")


def _show(store: Store, arguments: argparse.Namespace) -> None:
    chat = _load(store, arguments.id)
    _write(export(chat, "json" if arguments.json else "md").rstrip("\n"))


def _export(store: Store, arguments: argparse.Namespace) -> None:
    chat = _load(store, arguments.id)
    ending = Path(arguments.output or "").suffix[1:]
    document = export(chat, cast(ExportFormat, arguments.format or (ending if ending in FORMATS else "md")))
    if arguments.output is None or arguments.output == "-":
        _write(document.rstrip("\n"))
        return
    Path(arguments.output).write_text(document, encoding="utf-8")
    _note(f"written to {arguments.output}")


def _import(store: Store, arguments: argparse.Namespace) -> None:
    for name in arguments.files:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise HistoryError(f"{name}: not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}") from error
        chat = import_chat(store, text, "standard input" if name == "-" else name)
        _write(_line(chat, store))


def _remove(store: Store, arguments: argparse.Namespace) -> None:
    chats = [store.find(prefix, "argument ID") for prefix in arguments.ids]  # all are there, or none is removed
    for chat in chats:
        if store.locks.taken_elsewhere(chat.number):
            raise OptionError(f"argument ID: chat {chat.short_id} is open in another window; close it there first")
    for chat in {chat.id: chat for chat in chats}.values():
        store.forget(chat.id)
        _note(f"removed {chat.short_id} ({chat.title})")


def _load(store: Store, prefix: str) -> SavedChat:
    return store.load(store.find(prefix, "argument ID").id)


def _line(chat: ChatSummary, store: Store) -> str:
    title = " ".join(chat.title.split())
    title = title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 1]}…"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(chat.updated))
    live = "  open in a window" if store.locks.taken_elsewhere(chat.number) else ""
    return f"{chat.short_id}  {when}  {chat.messages:4} messages  {title}{live}"


def _snippet(hit: ChatHit, text: str) -> str:
    return snippet(hit.content, text, SNIPPET_WIDTH)


def _as_json(chat: ChatSummary) -> dict[str, Any]:
    return {name: value for name, value in asdict(chat).items() if name != "number"}


def _write(text: str) -> None:
    streams.write(sys.stdout, text + "\n")


def _note(text: str) -> None:
    """For a person who watches; standard output holds only what was asked for."""
    if sys.stderr.isatty():
        streams.warn(text)
