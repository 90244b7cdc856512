"""llama.cpp, through the bindings of llama-cpp-python, without its Python sampling."""

from __future__ import annotations

import ctypes
import time

import llama_cpp

from adapters import Options, Timing


class Adapter:
    def __init__(self, options: Options) -> None:
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            str(options.path).encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load {options.path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = options.context
        params.n_batch = options.context  # the prompt in one call; n_ubatch stays what llama.cpp ships
        params.n_threads = params.n_threads_batch = options.threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise RuntimeError(f"llama.cpp has no context of {options.context} tokens for {options.path}")
        self._greedy = llama_cpp.llama_sampler_init_greedy()
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self.settings = f"llama-cpp-python {llama_cpp.__version__}"

    def run(self, prompt: list[int], new_tokens: int) -> Timing:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        began = time.perf_counter()
        token = self._next(prompt)
        first = time.perf_counter()
        for _ in range(new_tokens):
            token = self._next([token])
        return Timing(first - began, time.perf_counter() - first)

    def _next(self, tokens: list[int]) -> int:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        status = llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(array, len(tokens)))
        if status:
            raise RuntimeError(f"llama_decode returned {status}")
        return int(llama_cpp.llama_sampler_sample(self._greedy, self._context, -1))
