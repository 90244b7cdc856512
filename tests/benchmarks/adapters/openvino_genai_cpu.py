"""OpenVINO GenAI."""

from __future__ import annotations

import json

import numpy as np
import openvino
import openvino_genai

from adapters import Options, Timing


class Adapter:
    def __init__(self, options: Options) -> None:
        self.vocabulary = int(json.loads((options.path / "config.json").read_text())["vocab_size"])
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = 2  # GB
        scheduler.max_num_batched_tokens = options.context  # the prompt in one piece
        scheduler.enable_prefix_caching = False
        self._pipeline = openvino_genai.LLMPipeline(
            str(options.path),
            "CPU",
            scheduler_config=scheduler,
            INFERENCE_NUM_THREADS=options.threads,
            PERFORMANCE_HINT="LATENCY",
        )
        self.settings = f"openvino-genai {openvino_genai.__version__}, PagedAttention, default precisions"

    def run(self, prompt: list[int], new_tokens: int) -> Timing:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = new_tokens + 1
        config.ignore_eos = True
        config.do_sample = False
        ids = np.array([prompt], dtype=np.int64)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
        metrics = self._pipeline.generate(inputs, config).perf_metrics
        if metrics.get_num_generated_tokens() != new_tokens + 1:
            raise RuntimeError(f"{metrics.get_num_generated_tokens()} tokens instead of {new_tokens + 1}")
        decode_ms = new_tokens * metrics.get_tpot().mean if new_tokens else 0.0
        return Timing(metrics.get_ttft().mean / 1e3, decode_ms / 1e3)
