"""Loads every variant, then measures them in turn, each beside the machine's limits of that moment."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_chat.app.bench.report import Report
from qwen3_chat.app.chat.model import ChatModel

if TYPE_CHECKING:
    from qwen3_chat.app.chat.options import EngineOptions
    from qwen3_chat.engine import Engine, MachineLimits, Profile, Qwen3Meta

__all__ = ["Workload", "measure"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is run in every round. Tokens."""

    prompt: int
    generate: int
    depth: int
    repeats: int


@dataclass(frozen=True, slots=True)
class _Round:
    limits: MachineLimits
    prefill: float  # tokens a second
    decode: float  # tokens a second


@dataclass(eq=False)
class _Candidate:
    engine: Engine
    file_bytes: int
    start_s: float
    first_token_s: float
    peak_rss: int
    rounds: list[_Round] = field(default_factory=list)


def measure(path: Path, variants: Sequence[EngineOptions], work: Workload) -> list[Report]:
    """Time start, prefill and decode of a checkpoint, loaded in each of these ways.

    Raises what loading raises, and ContextOverflow if the context is too small for the workload.
    """
    from qwen3_chat.engine import measure_limits

    with ExitStack() as stack:
        before = _Before(_process_age(), _memory("VmRSS"))
        candidates = [_load(path, options, work, before, stack) for options in variants]
        for seed in range(work.repeats):
            for candidate in candidates:
                engine = candidate.engine
                limits = measure_limits(max(engine.threads, len(engine.devices)))
                prefill = _prefill(engine, work.prompt, seed)
                candidate.rounds.append(_Round(limits, prefill, _decode(engine, work, seed)))
        return [_report(path, candidate, candidates[0], work) for candidate in candidates]


@dataclass(frozen=True, slots=True)
class _Before:
    """The process before the first model is loaded."""

    age_s: float
    rss: int  # bytes


def _load(path: Path, options: EngineOptions, work: Workload, before: _Before, stack: ExitStack) -> _Candidate:
    """Load and warm up. Start and peak memory are those of a process that does nothing else."""
    others = _memory("VmRSS") - before.rss  # held by the variants that are loaded already
    _forget_peak()
    began = time.perf_counter()
    model = stack.enter_context(ChatModel.load(path, options))
    engine = model.engine
    first_token_s = _first_token(engine)
    start_s = before.age_s + time.perf_counter() - began
    _prefill(engine, work.prompt, seed=0)
    _decode(engine, work, seed=0)
    return _Candidate(engine, model.file_bytes, start_s, first_token_s, _memory("VmHWM") - others)


def _report(path: Path, candidate: _Candidate, first: _Candidate, work: Workload) -> Report:
    engine, rounds = candidate.engine, candidate.rounds
    memory, decode, prefill = engine.memory(), engine.profile(), engine.profile(kind="prefill")
    bytes_per_token = memory.weights_per_step + (work.depth + work.generate // 2) * memory.kv_bytes_per_token
    work_per_token = _prefill_operations(engine.meta, work.prompt) / work.prompt
    yardstick = "int8" if engine.weights in ("int8", "int4") else "fp32"
    layers = decode.layer_ns.sum(axis=2).max(axis=0)  # [layers]
    return Report(
        model=str(path),
        weights=engine.weights,
        kv=engine.kv,
        devices=engine.devices,
        threads=engine.threads,
        isa=engine.isa,
        checkpoint_bytes=candidate.file_bytes,
        repeats=work.repeats,
        load_s=engine.load_seconds,
        start_s=candidate.start_s,
        first_token_s=candidate.first_token_s,
        read_gb_per_s=statistics.median(turn.limits.read_bytes_per_s for turn in rounds) / 1e9,
        fp32_gflop_per_s=statistics.median(turn.limits.fp32_flop_per_s for turn in rounds) / 1e9,
        int8_gop_per_s=statistics.median(turn.limits.int8_op_per_s for turn in rounds) / 1e9,
        prompt_tokens=work.prompt,
        prefill_tokens_per_s=statistics.median(turn.prefill for turn in rounds),
        prefill_yardstick=yardstick,
        prefill_share=statistics.median(
            turn.prefill * work_per_token / _peak(turn.limits, yardstick) for turn in rounds
        ),
        prefill_ratio=statistics.median(
            own.prefill / other.prefill for own, other in zip(rounds, first.rounds, strict=True)
        ),
        depth=work.depth,
        decode_tokens_per_s=statistics.median(turn.decode for turn in rounds),
        bytes_per_token=bytes_per_token,
        decode_share=statistics.median(turn.decode * bytes_per_token / turn.limits.read_bytes_per_s for turn in rounds),
        decode_ratio=statistics.median(
            own.decode / other.decode for own, other in zip(rounds, first.rounds, strict=True)
        ),
        sample_share=decode.other_ns["sample"] / decode.step_ns,
        probe_share=decode.probe_share,
        verb_ns=_verbs(decode),
        layer_ns=float(statistics.median(layers)),
        layers_ns=tuple(int(ns) for ns in layers),
        prefill_verb_ns=_verbs(prefill),
        weights_bytes=memory.weights,
        kv_peak_bytes=max(work.prompt, work.depth + work.generate) * memory.kv_bytes_per_token,
        peak_rss_bytes=candidate.peak_rss,
    )


def _peak(limits: MachineLimits, yardstick: str) -> float:
    """Operations a second of the arithmetic that the projections are done in."""
    return limits.int8_op_per_s if yardstick == "int8" else limits.fp32_flop_per_s


def _prefill_operations(meta: Qwen3Meta, tokens: int) -> float:
    """Multiply-adds times two: every projection for every token, causal attention, the head for the last token."""
    projections = meta.d * meta.dh * (2 * meta.nh + 2 * meta.nkvh)  # of one token in one layer
    attention = 2 * meta.nh * meta.dh * (tokens + 1) / 2  # the same, on average
    mlps = 3 * meta.d * meta.di * (meta.nlayer - meta.sparse_layers)  # of one token in all layers
    if meta.experts:
        taken = 3 * meta.experts.intermediate_size * meta.experts.per_token
        mlps += meta.d * (taken + meta.experts.count) * meta.sparse_layers
    return 2.0 * (tokens * (meta.nlayer * (projections + attention) + mlps) + meta.d * meta.dvoc)


# ---- one run --------------------------------------------------------------------------------------------------------


def _ids(engine: Engine, count: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(engine.meta.dvoc) for _ in range(count)]


def _first_token(engine: Engine) -> float:
    return 1 / _prefill(engine, 1, seed=0)


def _prefill(engine: Engine, count: int, seed: int) -> float:
    """Prompt tokens a second, up to the first token of the reply."""
    from qwen3_chat.engine import SamplingParams

    reply = engine.generate(_ids(engine, count, seed), sampling=SamplingParams(max_new_tokens=1, stop_ids=[]))
    list(reply)
    return count / reply.stats.first_token_s


def _decode(engine: Engine, work: Workload, seed: int) -> float:
    """Tokens a second after the first one."""
    from qwen3_chat.engine import SamplingParams

    sampling = SamplingParams(max_new_tokens=work.generate + 1, stop_ids=[], seed=seed)
    reply = engine.generate(_ids(engine, work.depth, seed), sampling=sampling)
    list(reply)
    return work.generate / reply.stats.decode_s


def _verbs(profile: Profile) -> dict[str, int]:
    layers = profile.layer_ns.sum(axis=1).max(axis=0)  # [verbs]
    return {verb: int(ns) for verb, ns in zip(profile.layer_verbs, layers, strict=True)} | profile.other_ns


# ---- this process ---------------------------------------------------------------------------------------------------


def _process_age() -> float:
    """Seconds since this process was started, in steps of the kernel's clock."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _memory(name: str) -> int:
    """Resident bytes: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _forget_peak() -> None:
    """Let VmHWM begin anew. Where the kernel refuses, it goes on rising from variant to variant, as what they hold."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return
