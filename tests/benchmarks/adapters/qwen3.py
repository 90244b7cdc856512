"""qwen3-chat's own engine, and the limits of the machine for the same work."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any, cast

from adapters import Options, Timing
from qwen3_chat.engine import Engine, SamplingParams, measure_limits


class Adapter:
    def __init__(self, options: Options) -> None:
        self._engine = Engine.load(
            options.path,
            weights=cast("Any", options.weights),  # which types there are is for the engine to say
            context=options.context,
            threads=options.threads,
        )
        engine = self._engine
        self.vocabulary = engine.meta.dvoc
        self.settings = f"{engine.weights} weights, {engine.kv} KV, {engine.isa}"

    def run(self, prompt: list[int], new_tokens: int) -> Timing:
        sampling = SamplingParams(temperature=0, max_new_tokens=new_tokens + 1, stop_ids=[])
        reply = self._engine.generate(prompt, sampling=sampling)
        if len(list(reply)) != new_tokens + 1:
            raise RuntimeError(f"the reply ended early: {reply.finish_reason}")
        return Timing(reply.stats.first_token_s, reply.stats.decode_s)

    def limit(self, prompt: list[int], new_tokens: int) -> Timing:
        """What `run` would take if only f32 arithmetic bounded the prompt, and only reading memory bounded decoding."""
        memory = self._engine.memory()
        # In a process of its own: what it reserves is not the engine's.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            read_bytes_per_s, fp32_flop_per_s = pool.submit(_limits, self._engine.threads).result()
        depth = len(prompt) + new_tokens / 2
        step_bytes = memory.weights + depth * memory.kv_bytes_per_token
        return Timing(
            self._prefill_flop(len(prompt)) / fp32_flop_per_s,
            new_tokens * step_bytes / read_bytes_per_s,
        )

    def _prefill_flop(self, tokens: int) -> float:
        meta = self._engine.meta
        projections = meta.d * meta.dh * (2 * meta.nh + 2 * meta.nkvh) + 3 * meta.d * meta.di
        attention = meta.nh * meta.dh * (tokens + 1)  # causal: K and V, each over half the prompt on average
        return 2.0 * (tokens * meta.nlayer * (projections + attention) + meta.d * meta.dvoc)


def _limits(threads: int) -> tuple[float, float]:
    limits = measure_limits(threads)
    return limits.read_bytes_per_s, limits.fp32_flop_per_s
