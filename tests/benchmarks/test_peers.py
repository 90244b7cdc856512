"""The program as a whole, on a tiny checkpoint, with no peer installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAM = Path(__file__).with_name("peers.py")


def peers(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True)


def test_missing_peers_are_skipped_and_named(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    run = peers(
        "--model", str(checkpoint()), "--peers", str(tmp_path), "--weights", "bf16", "--threads", "1",
        "--prompt", "0", "--depth", "8", "--generate", "4", "--repeats", "2", "--json",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert f"skipping OpenVINO fp16: {tmp_path / 'openvino-fp16'} does not exist" in run.stderr
    report = json.loads(run.stdout)
    assert list(report["engines"]) == ["qwen3-chat"]
    assert report["engines"]["qwen3-chat"]["peak_rss_bytes"] < 512 << 20, (
        "the limits are measured in the engine's process"
    )
    decode = report["measured"]["decode at 8"]
    assert {name: len(rounds) for name, rounds in decode["tokens_per_s"].items()} == {"limit": 2, "qwen3-chat": 2}
    assert min(decode["tokens_per_s"]["qwen3-chat"]) > 0
    assert decode["best_peer"] is None
    ratios = [a / b for a, b in zip(decode["tokens_per_s"]["qwen3-chat"], decode["tokens_per_s"]["limit"], strict=True)]
    assert [decode["ours_over"]["limit"][key] for key in ("low", "high")] == [min(ratios), max(ratios)]


def test_an_engine_that_cannot_load_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "llama-cpp-Q8_0.gguf").write_bytes(b"no model")
    run = peers(
        "--model", str(tmp_path / "missing"), "--peers", str(tmp_path), "--weights", "int8", "--prompt", "8",
        "--python", str(tmp_path / "python"),
    )  # fmt: skip
    assert run.returncode == 1
    assert f"skipping llama.cpp Q8_0: --python {tmp_path / 'python'}: No such file or directory" in run.stderr
    assert "nobody is left to measure" in run.stderr


def test_nothing_to_measure_is_a_wrong_flag(tmp_path: Path) -> None:
    run = peers("--model", str(tmp_path), "--peers", str(tmp_path), "--prompt", "0", "--depth", "0")
    assert run.returncode == 2
    assert "--prompt 0 and --depth 0 leave nothing to measure" in run.stderr
