"""Engines as processes that stay loaded and take turns."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["OURS", "PEERS", "Contestant", "ContestantError", "Peer", "Worker"]

OURS = "qwen3-chat"
WORKER = Path(__file__).with_name("worker.py")


class ContestantError(Exception):
    """An engine that could not be started, or failed later."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer with one form of the weights."""

    name: str
    adapter: str  # a file of adapters/
    model: str  # what the converted model is called in the folder of the peers


# By the type of our weights: the closest that each peer has.
PEERS = {
    "bf16": (
        Peer("OpenVINO fp16", "openvino_genai_cpu", "openvino-fp16"),
        Peer("ONNX Runtime fp32", "onnxruntime_genai_cpu", "onnxruntime-fp32"),
        Peer("llama.cpp BF16", "llama_cpp_cpu", "llama-cpp-BF16.gguf"),
        Peer("llama.cpp F16", "llama_cpp_cpu", "llama-cpp-F16.gguf"),
    ),
    "int8": (
        Peer("OpenVINO int8", "openvino_genai_cpu", "openvino-int8"),
        Peer("ONNX Runtime int8", "onnxruntime_genai_cpu", "onnxruntime-int8"),
        Peer("llama.cpp Q8_0", "llama_cpp_cpu", "llama-cpp-Q8_0.gguf"),
    ),
    "int4": (
        Peer("OpenVINO int4", "openvino_genai_cpu", "openvino-int4"),
        Peer("ONNX Runtime int4", "onnxruntime_genai_cpu", "onnxruntime-int4"),
        Peer("llama.cpp Q4_0", "llama_cpp_cpu", "llama-cpp-Q4_0.gguf"),
        Peer("llama.cpp Q4_K_M", "llama_cpp_cpu", "llama-cpp-Q4_K_M.gguf"),
    ),
}


class Worker:
    """One engine's process. It sleeps on its input between commands."""

    def __init__(self, python: str, adapter: str, model: Path, weights: str, threads: int, context: int) -> None:
        """Start it and wait until the model is loaded. Raises ContestantError."""
        if not model.exists():
            raise ContestantError(f"{model} does not exist")
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (kept as long as the process)
        command = [python, str(WORKER), adapter, str(model), weights, str(threads), str(context)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1
            )
        except OSError as error:
            raise ContestantError(f"--python {python}: {error.strerror}") from error
        self.run_cpu_s = self.idle_s = self.idle_cpu_s = 0.0
        self.peak_rss_bytes = 0
        try:
            self.settings = str(self._answer()["settings"])
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, prompt: int, new_tokens: int, seed: int) -> tuple[float, float]:
        """Have it run once; returns seconds to the first token and seconds from there to the last."""
        assert self._process.stdin is not None
        command = {"method": method, "prompt": prompt, "new_tokens": new_tokens, "seed": seed}
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
        except BrokenPipeError:
            raise ContestantError(self._last_words()) from None
        answer = self._answer()
        self.run_cpu_s += float(answer["run_cpu_s"])
        self.idle_s += float(answer["idle_s"])
        self.idle_cpu_s += float(answer["idle_cpu_s"])
        self.peak_rss_bytes = int(answer["peak_rss_bytes"])
        return float(answer["first_token_s"]), float(answer["decode_s"])

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContestantError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        return f"ended with exit code {self._process.returncode}: {lines[-1] if lines else 'no message'}"


@dataclass(slots=True)
class Contestant:
    """A line of the result: an engine, or the machine's limit for what our engine does."""

    name: str
    worker: Worker
    method: Literal["run", "limit"] = "run"
    prefill: list[float] = field(default_factory=list)  # tokens a second, one value a round
    decode: list[float] = field(default_factory=list)

    def play(self, *, prompt: int, depth: int, generate: int, seed: int) -> None:
        """One round; what is 0 is left out. Raises ContestantError."""
        if prompt:
            first_token_s, _ = self.worker.ask(self.method, prompt, 0, seed)
            self.prefill.append(prompt / first_token_s)
        if depth:
            _, decode_s = self.worker.ask(self.method, depth, generate, seed)
            self.decode.append(generate / decode_s)

    def forget(self) -> None:
        """Start over, after a round that only warmed up."""
        self.prefill.clear()
        self.decode.clear()
        self.worker.run_cpu_s = self.worker.idle_s = self.worker.idle_cpu_s = 0.0
