"""What the open full screen costs: the interface's share of a core, and what decoding loses to it. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from qwen3_chat.app.tui.app import ChatApp

HERE = Path(__file__).resolve()
COLUMNS, ROWS = 120, 40
QUESTION = "Explain rotary position embeddings, with an example."
CLI = "import sys; from qwen3_chat.app.cli import main; sys.exit(main())"
CHARACTERS = 4  # a token, roughly
PROSE = "The quick brown fox jumps over the lazy dog and then considers a **bold** idea about `code` in detail. " * 3
LIST = "".join(f"- item {n} with some text to read, and *more* of it\n" for n in range(30))
CODE = "```python\n" + "".join(f"value_{n} = compute(alpha={n}, beta='x{n}')  # why\n" for n in range(30)) + "```"
TABLE = "| name | 说明 | value |\n|---|---|---:|\n" + "".join(f"| row {n} | 旋转位置编码 | {n} |\n" for n in range(10))
MIXED = "\n\n".join((PROSE, LIST, CODE, TABLE, PROSE, "")) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    decode = modes.add_parser("decode", help="tokens/s under the full screen, panel closed and open, over those of -p")
    decode.add_argument("--model", required=True, help="a checkpoint folder")
    decode.add_argument("--tokens", type=int, default=256, help="of each reply (%(default)s)")
    decode.add_argument("--repeats", type=int, default=5, help="rounds (%(default)s)")
    decode.add_argument("--panel", action="store_true", help=argparse.SUPPRESS)  # of a child: opens the engine panel
    decode.add_argument("engine", nargs="*", help="more flags of qwen3-chat, after --")
    load = modes.add_parser("load", help="CPU share while a reply streams into a long chat; no model is needed")
    load.add_argument("--messages", type=int, default=150, help="in the chat already (%(default)s)")
    load.add_argument("--rate", type=int, default=300, help="tokens/s (%(default)s)")
    load.add_argument("--seconds", type=int, default=20, help="of streaming (%(default)s)")
    for mode in (decode, load):
        mode.add_argument("--json", action="store_true", help="print one JSON object")
        mode.add_argument("--report", type=int, help=argparse.SUPPRESS)  # the file descriptor of a child
    arguments = parser.parse_args()
    if arguments.report is not None:
        return decode_child(arguments) if arguments.mode == "decode" else load_child(arguments)
    record = compare(arguments) if arguments.mode == "decode" else on_a_terminal(sys.argv[1:])
    if arguments.json:
        print(json.dumps(record))
    elif arguments.mode == "decode":
        print_comparison(record)
    else:
        print(
            f"{record['widgets']} widgets mounted for {arguments.messages} messages and the reply; "
            f"{record['cpu_share']:.0%} of one core at {record['tokens_per_s']:.0f} tokens/s, "
            f"{record['flushes_per_s']:.1f} flushes/s"
        )
    return 0


# The parent


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Rounds of -p and the full screen, its panel closed and open, in an order that alternates: speed drifts."""
    flags = ["--model", arguments.model, "--temperature", "0", "--seed", "1", "--max-tokens", str(arguments.tokens)]
    flags += arguments.engine
    rounds = []
    for number in range(arguments.repeats):
        takes: dict[str, Callable[[], dict[str, Any]]] = {
            "print": lambda: json.loads(
                subprocess.run(
                    [sys.executable, "-c", CLI, *flags, "-p", QUESTION, "--format", "json"],
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout
            ),
            "tui": lambda: on_a_terminal(sys.argv[1:]),
            "panel": lambda: on_a_terminal([sys.argv[1], "--panel", *sys.argv[2:]]),
        }
        order = list(takes) if number % 2 == 0 else list(takes)[::-1]
        rounds.append({name: takes[name]() for name in order})
        if len({take["new_tokens"] for take in rounds[-1].values()}) > 1:
            raise SystemExit("the two replies differ in length: their speeds cannot be compared")
    ratios = {
        "ratio": [one["tui"]["tokens_per_s"] / one["print"]["tokens_per_s"] for one in rounds],
        "panel_ratio": [one["panel"]["tokens_per_s"] / one["tui"]["tokens_per_s"] for one in rounds],
    }
    return {
        "new_tokens": rounds[0]["tui"]["new_tokens"],
        **{f"{name}_tokens_per_s": median_of(rounds, name, "tokens_per_s") for name in rounds[0]},
        **{name: statistics.median(values) for name, values in ratios.items()},
        **{f"{name}s": values for name, values in ratios.items()},
        "cpu_share": median_of(rounds, "tui", "cpu_share"),
        "panel_cpu_share": median_of(rounds, "panel", "cpu_share"),
    }


def median_of(rounds: Sequence[Any], take: str, figure: str) -> float:
    return statistics.median(one[take][figure] for one in rounds)


def print_comparison(record: dict[str, Any]) -> None:
    print(f"decode, {record['new_tokens']} tokens, medians of {len(record['ratios'])} rounds:")
    print(f"  -p           {record['print_tokens_per_s']:.1f} tokens/s")
    for name, share, ratio, over in (
        ("full screen", "cpu_share", "ratio", "-p"),
        ("with panel", "panel_cpu_share", "panel_ratio", "the full screen"),
    ):
        speed = record["tui_tokens_per_s" if name == "full screen" else "panel_tokens_per_s"]
        low, high = min(record[f"{ratio}s"]), max(record[f"{ratio}s"])
        print(f"  {name:<12} {speed:.1f} tokens/s, {record[share]:.0%} of one core for it;", end=" ")
        print(f"{record[ratio]:.3f} of {over} ({low:.3f} to {high:.3f})")


def on_a_terminal(arguments: Sequence[str]) -> dict[str, Any]:
    """Run this script as a child whose terminal is ours: everything it draws is read, and thrown away."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    answer, report = os.pipe()
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    command = [*arguments[:separator], "--report", str(report), *arguments[separator:]]
    child = subprocess.Popen(
        [sys.executable, str(HERE), *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        pass_fds=[report],
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    os.close(report)
    drawn, written = b"", b""
    while True:
        ready, _, _ = select.select([master, answer], [], [])
        if master in ready:
            try:
                drawn = (drawn + os.read(master, 1 << 16))[-4096:]
            except OSError:  # the child has closed its terminal
                break
        if answer in ready:
            if not (piece := os.read(answer, 1 << 16)):
                break
            written += piece
    child.wait()
    os.close(master)
    os.close(answer)
    if not written:
        raise SystemExit(f"the full screen ended without a result:\n{drawn.decode(errors='replace')}")
    record: dict[str, Any] = json.loads(written)
    return record


# The child


def decode_child(arguments: argparse.Namespace) -> int:
    """The application as a person opens it, and one question."""
    from qwen3_chat.app.flags import build_parser, chat_options, settings
    from qwen3_chat.app.tui.app import ChatApp

    flags = ["--model", arguments.model, "--temperature", "0", "--seed", "1", "--max-tokens", str(arguments.tokens)]
    parsed = build_parser().parse_args(flags + arguments.engine)
    app = ChatApp(chat_options(parsed, settings(parsed)))
    try:
        drive(app, arguments.report, panel=arguments.panel)
    finally:
        app.session.close()
    return 0


def load_child(arguments: argparse.Namespace) -> int:
    """A long chat, and an engine that says a given text at a given speed."""
    sys.path[:0] = [str(HERE.parents[1] / "app" / "tui"), str(HERE.parents[1] / "app")]
    from scene import scene, window

    from qwen3_chat.app.chat.conversation import Conversation

    length = CHARACTERS * arguments.rate * arguments.seconds
    made = scene((MIXED * (length // len(MIXED) + 1))[:length], context=1 << 20)
    pace(made.engine, CHARACTERS * arguments.rate)
    app = window(made)
    history = Conversation()
    for number in range(arguments.messages // 2):
        history.add_user(f"question {number}: " + PROSE[:200])
        reply = history.begin_reply()
        reply.content, reply.state = MIXED, "complete"
    drive(app, arguments.report, history)
    return 0


def pace(engine: Any, per_second: int) -> None:
    """Let the engine give its tokens as fast as that, whenever it is asked."""
    generate = engine.generate

    def paced(*given: Any, **named: Any) -> Any:
        generation = generate(*given, **named)
        drain, start, taken = generation.drain, time.perf_counter(), 0

        def due() -> Any:
            nonlocal taken
            generation._chunk = max(0, int((time.perf_counter() - start) * per_second) - taken)
            tokens = drain()
            taken += len(tokens)
            return tokens

        generation.drain = due
        return generation

    engine.generate = paced


def drive(app: ChatApp, report: int, history: Any = None, *, panel: bool = False) -> None:
    """Ask, wait for the whole reply, and write what it took to the file descriptor."""
    from qwen3_chat.app.tui.widgets.prompt import Prompt
    from qwen3_chat.app.tui.widgets.transcript import Transcript

    async def person(pilot: Pilot[Any]) -> None:
        while not app.session.ready:
            await asyncio.sleep(0.05)
        if history is not None:
            app.session.conversation = history
            await app.chat.query_one(Transcript).show(history.path())
        if panel:
            await pilot.press("f3")
        app.chat.query_one(Prompt).area.insert(QUESTION)
        await pilot.press("enter")
        while app.session.turn is None or not app.session.turn.message.content:
            await asyncio.sleep(0.01)
        turn, stream = app.session.turn, app.chat.following.stream
        assert stream is not None
        cpu, wall = time.thread_time(), time.perf_counter()
        while not turn.done:
            await asyncio.sleep(0.1)
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
        assert turn.stats is not None
        rate = turn.stats.tokens_per_s if history is None else turn.stats.new_tokens / CHARACTERS / wall
        record = {
            "new_tokens": turn.stats.new_tokens,
            "tokens_per_s": rate,
            "cpu_share": cpu / wall,  # of the interface's thread
            "flushes_per_s": stream.flushes / wall,
            "widgets": len(list(app.screen.walk_children())),
        }
        os.write(report, json.dumps(record).encode())
        os.close(report)
        app.exit()

    app.run(auto_pilot=person)


if __name__ == "__main__":
    sys.exit(main())
