"""The flags of `qwen3-chat bench`."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.options import EngineOptions

__all__ = ["build_parser", "main"]

DESCRIPTION = """What this machine makes of a checkpoint: start, prefill, decode, memory, and how close it comes to what
the machine can do at most. Speeds drift, so limits and runs take turns, and every share is the median over the rounds.
Compare within one run only: several --weights or --devices are loaded together and measured in turn."""


def main(argv: Sequence[str]) -> int:
    """Measure what the flags ask for and print a table, with --json one object, with --markdown a piece of a page."""
    from qwen3_chat.app.flags import model_of
    from qwen3_chat.app.streams import download

    arguments = build_parser().parse_args(argv)
    from qwen3_chat.app.bench import table
    from qwen3_chat.app.bench.measure import Workload, measure

    reports = measure(
        download(model_of(arguments.model)),
        _variants(arguments),
        Workload(arguments.prompt, arguments.generate, arguments.depth, arguments.repeats),
    )
    if arguments.json:
        text = table.as_json(reports)
    elif arguments.markdown:
        text = table.as_markdown(reports, argv)
    else:
        text = table.as_text(reports)
    sys.stdout.write(text)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qwen3-chat bench`."""
    from qwen3_chat.app.flags import Parser, add_engine_flags, whole_number

    parser = Parser(prog="qwen3-chat bench", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--model", metavar="MODEL", help="as for the chat (default: the bundled demo model)")
    tokens = whole_number(1, 1 << 20)
    parser.add_argument("--prompt", type=tokens, default=512, metavar="N", help="tokens of the prefill (%(default)s)")
    parser.add_argument("--generate", type=tokens, default=64, metavar="N", help="tokens to decode (%(default)s)")
    parser.add_argument("--depth", type=tokens, default=128, metavar="N", help="context of the decode (%(default)s)")
    parser.add_argument("--repeats", type=whole_number(1, 100), default=3, metavar="N", help="rounds (%(default)s)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    add_engine_flags(parser, several=True)
    return parser


def _variants(arguments: argparse.Namespace) -> list[EngineOptions]:
    """Every combination of the --weights and --devices that were given."""
    from qwen3_chat.app.flags import engine_options

    chosen = itertools.product(arguments.weights or ["auto"], arguments.devices or ["auto"])
    return [
        engine_options(argparse.Namespace(**vars(arguments) | {"weights": weights, "devices": devices}))
        for weights, devices in chosen
    ]
