"""Measure qwen3-chat against other engines for CPUs, in one interleaved run.

Every engine stays loaded in a process of its own, and they take turns: the machine's limit, ours, one peer, the next,
and again. Batch 1, greedy, random token ids. README.md beside this file says how to install and convert.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from comparison import Comparison
from contestants import OURS, PEERS, Contestant, ContestantError, Worker
from machine import busy_cpu_s

LIMIT = "limit"
WARM_UP_TOKENS = 4
MIB = 1 << 20


def main(argv: Sequence[str]) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not (arguments.prompt or arguments.depth):
        parser.error("--prompt 0 and --depth 0 leave nothing to measure")
    with ExitStack() as stack:
        contestants = _start(arguments, stack)
        began, began_cpu = time.perf_counter(), busy_cpu_s()
        for seed in range(arguments.repeats):
            for contestant in list(contestants):
                _play(contestants, contestant, arguments, arguments.generate, seed)
        if not contestants:
            print("peers.py: nobody is left to measure", file=sys.stderr)
            return 1
        own_cpu = sum(worker.run_cpu_s + worker.idle_cpu_s for worker in {each.worker for each in contestants})
        others = (busy_cpu_s() - began_cpu - own_cpu) / (time.perf_counter() - began)
        report = _report(arguments, contestants, max(others, 0.0))
    print(json.dumps(report) if arguments.json else _table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="peers.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a checkpoint folder, for qwen3-chat")
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="where the converted models are")
    parser.add_argument("--weights", choices=tuple(PEERS), default="bf16", help="type of the weights (%(default)s)")
    parser.add_argument("--prompt", type=_count, default=512, metavar="N", help="tokens of the prefill; 0: none (512)")
    parser.add_argument("--depth", type=_count, default=128, metavar="N", help="context of decoding; 0: none (128)")
    parser.add_argument("--generate", type=_positive, default=64, metavar="N", help="tokens to decode (%(default)s)")
    parser.add_argument("--repeats", type=_positive, default=5, metavar="N", help="rounds (%(default)s)")
    parser.add_argument("--threads", type=_positive, default=len(os.sched_getaffinity(0)), metavar="N", help="of each")
    parser.add_argument("--python", default=sys.executable, help="where the peers are installed (default: this one)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every round")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number")
    return int(text)


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("expected at least 1")
    return value


def _start(arguments: argparse.Namespace, stack: ExitStack) -> list[Contestant]:
    """Load every engine that is there, and let it run once unmeasured."""
    context = max(arguments.prompt, arguments.depth + arguments.generate) + 1
    candidates = [(OURS, sys.executable, "qwen3", arguments.model)] + [
        (peer.name, arguments.python, peer.adapter, arguments.peers / peer.model) for peer in PEERS[arguments.weights]
    ]
    contestants: list[Contestant] = []
    for name, python, adapter, path in candidates:
        print(f"loading {name}", file=sys.stderr)
        try:
            worker = Worker(python, adapter, path, arguments.weights, arguments.threads, context)
        except ContestantError as error:
            print(f"skipping {name}: {error}", file=sys.stderr)
            continue
        stack.callback(worker.close)
        contestants += [Contestant(LIMIT, worker, "limit")] if name == OURS else []
        contestants.append(Contestant(name, worker))
        _play(contestants, contestants[-1], arguments, WARM_UP_TOKENS, 0)
    for contestant in contestants:
        contestant.forget()
    return contestants


def _play(
    contestants: list[Contestant], contestant: Contestant, arguments: argparse.Namespace, generate: int, seed: int
) -> None:
    """One contestant's turn. Whoever fails is out, with all results."""
    try:
        contestant.play(prompt=arguments.prompt, depth=arguments.depth, generate=generate, seed=seed)
    except ContestantError as error:
        print(f"leaving out {contestant.name}: {error}", file=sys.stderr)
        contestants[:] = [other for other in contestants if other.worker is not contestant.worker]


def _report(arguments: argparse.Namespace, contestants: list[Contestant], others: float) -> dict[str, Any]:
    measured = {}
    if arguments.prompt:
        measured[f"prefill of {arguments.prompt}"] = Comparison({each.name: each.prefill for each in contestants})
    if arguments.depth:
        measured[f"decode at {arguments.depth}"] = Comparison({each.name: each.decode for each in contestants})
    return {
        "weights": arguments.weights,
        "threads": arguments.threads,
        "cores_busy_with_others": others,
        "engines": {
            each.name: {
                "settings": each.worker.settings,
                "peak_rss_bytes": each.worker.peak_rss_bytes,
                "idle_share": each.worker.idle_cpu_s / each.worker.idle_s,
            }
            for each in contestants
            if each.name != LIMIT
        },
        "measured": {kind: _compare(comparison) for kind, comparison in measured.items()},
    }


def _compare(comparison: Comparison) -> dict[str, Any]:
    names = list(comparison.speeds)
    best = comparison.best([name for name in names if name not in (OURS, LIMIT)])
    return {
        "tokens_per_s": comparison.speeds,
        "spread": {name: asdict(comparison.spread(name)) for name in names},
        "ours_over": {name: asdict(comparison.ratio(OURS, name)) for name in names if OURS in names and name != OURS},
        "best_peer": best,
    }


def _table(report: dict[str, Any]) -> str:
    lines = [f"{report['weights']} weights, {report['threads']} threads; medians (lowest to highest)"]
    for kind, result in report["measured"].items():
        lines += ["", f"{kind:22s} {'tokens/s':^24s}   {'ours / it':^24s}"]
        for name, speed in result["spread"].items():
            ratio = result["ours_over"].get(name)
            lines.append(f"{name:22s} {_spread(speed, 1)}   {_spread(ratio, 2) if ratio else ''}".rstrip())
        best = result["best_peer"]
        if best in result["ours_over"]:
            lines.append(f"ours / best peer       {_spread(result['ours_over'][best], 2)}   {best}")
    lines += ["", f"{'engine':22s} {'peak MiB':>8s} {'CPU while idle':>15s}   settings"]
    for name, engine in report["engines"].items():
        memory, idle = engine["peak_rss_bytes"] / MIB, engine["idle_share"]
        lines.append(f"{name:22s} {memory:8.0f} {idle:15.1%}   {engine['settings']}")
    lines += ["", f"Other processes kept {report['cores_busy_with_others']:.2f} cores busy meanwhile."]
    return "\n".join(lines)


def _spread(spread: dict[str, float], digits: int) -> str:
    between = f"({spread['low']:.{digits}f} to {spread['high']:.{digits}f})"
    return f"{spread['median']:8.{digits}f} {between:15s}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
