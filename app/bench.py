"""`qwen3-chat bench`: what this machine makes of a checkpoint. Speeds are medians; compare within one run only."""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from qwen3_chat.app.chat.options import EngineOptions
    from qwen3_chat.engine import Engine, Profile, Qwen3Meta

__all__ = ["Report", "main", "measure"]

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run, under the names that --json prints."""

    model: str
    weights: str
    kv: str
    devices: tuple[str, ...]
    threads: int
    isa: str
    checkpoint_bytes: int
    load_s: float
    first_token_s: float  # after loading, for a prompt of one token
    read_gb_per_s: float  # the machine's limit, measured in this run: streaming reads
    fp32_gflop_per_s: float  # the same for multiply-adds
    prompt_tokens: int
    prefill_tokens_per_s: float
    prefill_share: float  # of fp32_gflop_per_s, attention counted
    depth: int  # tokens in the cache where decoding begins
    decode_tokens_per_s: float
    bytes_per_token: int  # weights and keys and values that one decode step reads
    decode_share: float  # of read_gb_per_s
    sample_share: float  # of a decode step
    probe_share: float  # of a decode step: what the profiler itself costs
    verb_ns: dict[str, int]  # of the last decode step, over all layers, the slowest device
    layer_ns: float  # of the last decode step, median over layers
    weights_bytes: int
    kv_peak_bytes: int
    peak_rss_bytes: int


def main(argv: Sequence[str]) -> int:
    """Measure what the flags ask for and print a table, or with --json one object."""
    from qwen3_chat.app.flags import engine_options, model_path

    arguments = _parser().parse_args(argv)
    report = measure(
        model_path(arguments),
        engine_options(arguments),
        prompt=arguments.prompt,
        generate=arguments.generate,
        depth=arguments.depth,
        repeats=arguments.repeats,
    )
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        sys.stdout.write(_table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    from qwen3_chat.app.flags import Parser, add_engine_flags, whole_number

    parser = Parser(prog="qwen3-chat bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", metavar="PATH", help="a checkpoint folder (default: the bundled demo model)")
    tokens = whole_number(1, 1 << 20)
    parser.add_argument("--prompt", type=tokens, default=512, metavar="N", help="tokens of the prefill (%(default)s)")
    parser.add_argument("--generate", type=tokens, default=64, metavar="N", help="tokens to decode (%(default)s)")
    parser.add_argument("--depth", type=tokens, default=128, metavar="N", help="context of the decode (%(default)s)")
    parser.add_argument("--repeats", type=whole_number(1, 100), default=3, metavar="N", help="of each (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine_flags(parser)
    return parser


def measure(path: Path, options: EngineOptions, *, prompt: int, generate: int, depth: int, repeats: int) -> Report:
    """Load a checkpoint and time prefill and decode. Raises what loading raises, ContextOverflow if it is too small."""
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.engine import measure_limits

    with ChatModel.load(path, options) as model:
        engine = model.engine
        loaded_s, first_token_s = engine.load_seconds, _first_token(engine)
        prefill = [_prefill(engine, prompt, seed) for seed in range(repeats)]
        decode = [_decode(engine, depth, generate, seed) for seed in range(repeats)]
        peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # before the yardstick takes memory
        limits = measure_limits(engine.threads)
        profile = engine.profile()
        memory = engine.memory()
        bytes_per_token = memory.weights + (depth + generate // 2) * memory.kv_bytes_per_token
        flops = _prefill_flops(engine.meta, prompt)
        prefill_speed, decode_speed = statistics.median(prefill), statistics.median(decode)
        return Report(
            model=str(path),
            weights=engine.weights,
            kv=engine.kv,
            devices=engine.devices,
            threads=engine.threads,
            isa=engine.isa,
            checkpoint_bytes=sum(file.stat().st_size for file in path.expanduser().glob("*.safetensors")),
            load_s=loaded_s,
            first_token_s=first_token_s,
            read_gb_per_s=limits.read_bytes_per_s / 1e9,
            fp32_gflop_per_s=limits.fp32_flop_per_s / 1e9,
            prompt_tokens=prompt,
            prefill_tokens_per_s=prefill_speed,
            prefill_share=flops * prefill_speed / prompt / limits.fp32_flop_per_s,
            depth=depth,
            decode_tokens_per_s=decode_speed,
            bytes_per_token=bytes_per_token,
            decode_share=bytes_per_token * decode_speed / limits.read_bytes_per_s,
            sample_share=profile.other_ns["sample"] / profile.step_ns,
            probe_share=profile.probe_share,
            verb_ns=_verbs(profile),
            layer_ns=float(statistics.median(profile.layer_ns.sum(axis=2).max(axis=0))),
            weights_bytes=memory.weights,
            kv_peak_bytes=max(prompt, depth + generate) * memory.kv_bytes_per_token,
            peak_rss_bytes=peak_rss,
        )


def _prefill_flops(meta: Qwen3Meta, tokens: int) -> float:
    """Multiply-adds times two: every projection for every token, causal attention, the head for the last token."""
    projections = meta.d * meta.dh * (2 * meta.nh + 2 * meta.nkvh) + 3 * meta.d * meta.di  # of one layer
    attention = 2 * meta.nh * meta.dh * (tokens + 1) / 2  # of one token in one layer, on average
    return 2.0 * (tokens * meta.nlayer * (projections + attention) + meta.d * meta.dvoc)


def _ids(engine: Engine, count: int, seed: int) -> list[int]:
    import random

    draw = random.Random(seed)
    return [draw.randrange(engine.meta.dvoc) for _ in range(count)]


def _first_token(engine: Engine) -> float:
    from qwen3_chat.engine import SamplingParams

    reply = engine.generate(_ids(engine, 1, 0), sampling=SamplingParams(max_new_tokens=1, stop_ids=[]))
    list(reply)
    return reply.stats.first_token_s


def _prefill(engine: Engine, count: int, seed: int) -> float:
    """Prompt tokens a second, up to the first token of the reply."""
    from qwen3_chat.engine import SamplingParams

    reply = engine.generate(_ids(engine, count, seed), sampling=SamplingParams(max_new_tokens=1, stop_ids=[]))
    list(reply)
    return count / reply.stats.first_token_s


def _decode(engine: Engine, depth: int, count: int, seed: int) -> float:
    """Tokens a second after the first one."""
    from qwen3_chat.engine import SamplingParams

    sampling = SamplingParams(max_new_tokens=count + 1, stop_ids=[], seed=seed)
    reply = engine.generate(_ids(engine, depth, seed), sampling=sampling)
    list(reply)
    return count / reply.stats.decode_s


def _verbs(profile: Profile) -> dict[str, int]:
    layers = profile.layer_ns.sum(axis=1).max(axis=0)  # [verbs]
    return {verb: int(ns) for verb, ns in zip(profile.layer_verbs, layers, strict=True)} | profile.other_ns


def _table(report: Report) -> str:
    limit = report.checkpoint_bytes + report.kv_peak_bytes + 300 * MIB
    step = sum(report.verb_ns.values())
    lines = [
        f"{report.model}  {report.weights} weights, {report.kv} KV, {', '.join(report.devices)}, "
        f"{report.threads} threads, {report.isa}",
        f"this machine         {report.read_gb_per_s:8.1f} GB/s read, {report.fp32_gflop_per_s:.0f} Gflop/s fp32",
        f"load                 {report.load_s:8.2f} s",
        f"first token          {report.first_token_s * 1e3:8.1f} ms   after loading, one-token prompt",
        f"prefill {report.prompt_tokens:6d} tok  {report.prefill_tokens_per_s:9.1f} tok/s   "
        f"{report.prefill_share:.0%} of fp32 peak",
        f"decode at {report.depth:4d} tok  {report.decode_tokens_per_s:9.1f} tok/s   "
        f"{report.decode_share:.0%} of read speed ({report.bytes_per_token / 1e6:.0f} MB a token)",
        f"peak memory          {report.peak_rss_bytes / MIB:8.0f} MiB  "
        f"checkpoint + KV + 300 MiB is {limit / MIB:.0f} MiB",
        f"profiler             {report.probe_share:8.3%}      of a decode step",
        f"one layer            {report.layer_ns / 1e3:8.1f} us   median of the last decode step, which was:",
    ]
    lines += [f"  {verb:20s} {ns / 1e3:9.1f} us  {ns / step:6.1%}" for verb, ns in report.verb_ns.items()]
    return "\n".join(lines) + "\n"
