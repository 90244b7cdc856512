"""A report for people and for programs. Several variants are columns side by side."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from qwen3_chat.app.bench.report import Report

__all__ = ["as_json", "as_markdown", "as_text"]

MIB = 1 << 20
HEADROOM = 300 * MIB  # beside checkpoint and KV: what the process is allowed to take


class Row(NamedTuple):
    """One figure of every variant."""

    name: str
    unit: str
    show: Callable[[Report], str]


def as_json(reports: Sequence[Report]) -> str:
    """One object: the first variant's figures, and if there are more of them, all of them under `variants`."""
    fields = asdict(reports[0])
    if len(reports) > 1:
        fields["variants"] = [asdict(report) for report in reports]
    return json.dumps(fields) + "\n"


def as_text(reports: Sequence[Report]) -> str:
    """A table for the terminal."""
    rows = [*_figures(reports), *_step(reports[0])]
    cells = [[row.show(report) for report in reports] for row in rows]
    names = [_variant(report) for report in reports]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    first, second = max(len(row.name) for row in rows), max(len(row.unit) for row in rows)

    def line(name: str, unit: str, values: Sequence[str]) -> str:
        right = "  ".join(value.rjust(width) for value, width in zip(values, widths, strict=True))
        return f"{name:{first}}  {right}  {unit:{second}}".rstrip() + "\n"

    head = f"{reports[0].model}  {_setting(reports[0])}\n"
    body = (line(row.name, row.unit, values) for row, values in zip(rows, cells, strict=True))
    return head + line("", "", names) + "".join(body)


def as_markdown(reports: Sequence[Report], argv: Sequence[str]) -> str:
    """The command, the machine and a table."""
    first = reports[0]
    rows = ["| | " + " | ".join(_variant(report) for report in reports) + " |", "|---|" + "---|" * len(reports)]
    for row in _figures(reports):
        name = f"{row.name.strip()}, {row.unit}" if row.unit else row.name.strip()
        rows.append(f"| {name} | " + " | ".join(row.show(report) for report in reports) + " |")
    rounds = "one round" if first.repeats == 1 else f"medians of {first.repeats} rounds"
    verbs = sorted(first.verb_ns.items(), key=lambda item: -item[1])
    whole = sum(first.verb_ns.values())
    step = ", ".join(f"{verb} {ns / whole:.0%}" for verb, ns in verbs if ns >= whole / 100)
    return (
        f"`{_command(argv)}`, {rounds}, on {_processor()}, {_setting(first)}:\n\n"
        + "\n".join(rows)
        + f"\n\nOf a decode step ({_variant(first)}): {step}.\n"
    )


def _figures(reports: Sequence[Report]) -> list[Row]:
    first = reports[0]
    rows = [
        Row("machine: reads", "GB/s", lambda r: f"{r.read_gb_per_s:.1f}"),
        Row("machine: fp32", "Gflop/s", lambda r: f"{r.fp32_gflop_per_s:.0f}"),
        Row("machine: int8", "Gop/s", lambda r: f"{r.int8_gop_per_s:.0f}"),
        Row("load", "s", lambda r: f"{r.load_s:.2f}"),
        Row("process start to first token", "s", lambda r: f"{r.start_s:.2f}"),
        Row("first token once loaded", "ms", lambda r: f"{r.first_token_s * 1e3:.1f}"),
        Row(f"prefill {first.prompt_tokens}", "tokens/s", lambda r: f"{r.prefill_tokens_per_s:.1f}"),
        Row("  share of the peak", "", lambda r: f"{r.prefill_share:.0%} {r.prefill_yardstick}"),
        Row(f"decode at {first.depth}", "tokens/s", lambda r: f"{r.decode_tokens_per_s:.1f}"),
        Row("  share of the read speed", "", lambda r: f"{r.decode_share:.0%}"),
        Row("  read for a token", "MB", lambda r: f"{r.bytes_per_token / 1e6:.0f}"),
        Row("peak memory", "MiB", lambda r: f"{r.peak_rss_bytes / MIB:.0f}"),
        Row("  checkpoint + KV + 300 MiB", "MiB", lambda r: f"{_allowed(r) / MIB:.0f}"),
        Row("profiler, of a decode step", "", lambda r: f"{r.probe_share:.3%}"),
    ]
    if len(reports) > 1:
        prefill, decode = (next(i for i, row in enumerate(rows) if row.name.startswith(name)) for name in STAGES)
        rows.insert(decode + 1, Row(f"  to {_variant(first)}", "", lambda r: f"{r.decode_ratio:.2f} x"))
        rows.insert(prefill + 1, Row(f"  to {_variant(first)}", "", lambda r: f"{r.prefill_ratio:.2f} x"))
    return rows


STAGES = ("prefill", "decode")


def _step(first: Report) -> list[Row]:
    """The last decode step: one layer, and every verb over all layers."""

    def verb(name: str) -> Row:
        return Row(f"  {name}", "us", lambda r: _part(r.verb_ns[name], sum(r.verb_ns.values())))

    layer = Row("a layer of a decode step", "us", lambda r: f"{r.layer_ns / 1e3:.1f}")
    return [layer, *(verb(name) for name in first.verb_ns)]


def _part(ns: int, whole: int) -> str:
    return f"{ns / whole:.1%} {ns / 1e3:10.1f}"


def _allowed(report: Report) -> int:
    return report.checkpoint_bytes + report.kv_peak_bytes + HEADROOM


def _variant(report: Report) -> str:
    return f"{report.weights} {','.join(report.devices)}"


def _setting(report: Report) -> str:
    return f"{report.threads} threads, {report.isa}, {report.kv} KV"


def _command(argv: Sequence[str]) -> str:
    """The command that was typed, with the model's folder instead of the way to it."""
    words = [word for word in argv if word != "--markdown"]
    for i, word in enumerate(words):
        if word.startswith("--model="):
            words[i] = f"--model={Path(word.removeprefix('--model=')).resolve().name}"
        elif word == "--model":
            words[i + 1] = Path(words[i + 1]).resolve().name
    return shlex.join(["qwen3-chat", "bench", *words])


def _processor() -> str:
    """What the kernel calls this machine's processor."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
