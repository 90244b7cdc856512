"""Asks every part, and prints what they say: for people, or as JSON."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from qwen3_chat.app import streams
from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.doctor.files import files, model
from qwen3_chat.app.doctor.finding import Finding
from qwen3_chat.app.doctor.installation import installation
from qwen3_chat.app.doctor.machine import machine
from qwen3_chat.app.doctor.terminal import terminal
from qwen3_chat.app.flags import Parser
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.settings.resolve import resolve

__all__ = ["build_parser", "main"]

PARTS: dict[str, Callable[[], Iterator[Finding]]] = {
    "installation": installation,
    "machine": machine,
    "terminal": terminal,
    "files": files,
}


def main(argv: Sequence[str]) -> int:
    """Print what is there. 0: all will work; 1: something is wrong."""
    arguments = build_parser().parse_args(argv)
    found = {part: list(look()) for part, look in PARTS.items()}
    if (path := arguments.model or _model_of_settings()) is not None:
        found["files"].append(model(Path(path)))
    bad = sum(finding.state == "wrong" for findings in found.values() for finding in findings)
    if arguments.json:
        parts = {part: [asdict(finding) for finding in findings] for part, findings in found.items()}
        streams.write(sys.stdout, streams.as_json({"ok": not bad} | parts, indent=1) + "\n")
    else:
        streams.write(sys.stdout, "\n".join(_lines(found, bad)) + "\n")
    return 1 if bad else 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat doctor`."""
    parser = Parser(
        prog="qwen3-chat doctor",
        description="Say what is there, what is missing, and what helps. Exit code 1 if something is wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="PATH", help="look at this checkpoint, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _model_of_settings() -> str | None:
    try:
        path: str | None = resolve({}, os.environ, Config.load()).value("model")
    except SettingsError:  # `files` says what is wrong with it
        return None
    return path


def _lines(found: dict[str, list[Finding]], bad: int) -> Iterator[str]:
    width = max(len(finding.name) for findings in found.values() for finding in findings)
    for part, findings in found.items():
        yield part
        for finding in findings:
            state = "WRONG" if finding.state == "wrong" else finding.state
            yield f"  {state:<7}{finding.name:<{width}}  {finding.what}"
            if finding.remedy:
                yield f"  {'':<7}{'':<{width}}  try: {finding.remedy}"
        yield ""
    yield f"{bad} thing{'s are' if bad != 1 else ' is'} wrong." if bad else "Nothing is wrong."
