"""onnxruntime-genai."""

from __future__ import annotations

import json
import time

import numpy as np
import onnxruntime_genai

from adapters import Options, Timing


class Adapter:
    def __init__(self, options: Options) -> None:
        model = json.loads((options.path / "genai_config.json").read_text())["model"]
        self.vocabulary = int(model["vocab_size"])
        config = onnxruntime_genai.Config(str(options.path))
        # Its threads spin while a run lasts, which is quickest, but not into the turn of the next engine.
        session = {"intra_op_num_threads": options.threads, "session.force_spinning_stop": "1"}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        self._model = onnxruntime_genai.Model(config)
        self.settings = f"onnxruntime-genai {onnxruntime_genai.__version__}, force_spinning_stop"

    def run(self, prompt: list[int], new_tokens: int) -> Timing:
        length = len(prompt) + new_tokens + 1
        params = onnxruntime_genai.GeneratorParams(self._model)
        params.set_search_options(max_length=length, min_length=length, do_sample=False, batch_size=1)
        generator = onnxruntime_genai.Generator(self._model, params)
        ids = np.array(prompt, dtype=np.int32)
        began = time.perf_counter()
        generator.append_tokens(ids)
        generator.generate_next_token()
        first = time.perf_counter()
        for _ in range(new_tokens):
            generator.generate_next_token()
        ended = time.perf_counter()
        if generator.token_count() != length:
            raise RuntimeError(f"{generator.token_count()} tokens instead of {length}")
        return Timing(first - began, ended - first)
