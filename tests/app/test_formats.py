"""Quantized folders and GGUF files under the command: they answer, are planned for and measured like any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quantizers
from checkpoints import make_checkpoint
from gguf import GGMLQuantizationType as Type
from gguf_files import write_gguf
from processes import run
from quantizers import quantize_checkpoint

from qwen3_chat.app.chat.memory import plan
from qwen3_chat.app.chat.model import ChatModel, preflight
from qwen3_chat.app.chat.options import EngineOptions
from qwen3_chat.engine import Engine
from qwen3_chat.models import demo
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.errors import CheckpointError

FAST = ("--prompt", "70", "--generate", "5", "--depth", "10", "--repeats", "1")
WIDE: dict[str, Any] = {"hidden": 256, "head_dim": 64, "intermediate": 512, "vocab": 384, "tokenizer": True}


def answer(path: Path, *arguments: str) -> dict[str, Any]:
    done = run("--model", str(path), "-p", "Hello! Who are you?", "--format", "json", "--seed", "5", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def medium(name: str, tensor: Any) -> Type:
    return Type.Q6_K if "down_proj" in name or "embed" in name else Type.Q4_K


def gguf(folder: Path) -> Path:
    """A file of Q4_K and Q6_K, as most are."""
    make_checkpoint(folder, **WIDE)
    write_gguf(folder / "model.gguf", folder, medium)
    return folder / "model.gguf"


def quantized(method: Callable[[], Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        make_checkpoint(folder, **WIDE, dtype="bfloat16")
        quantize_checkpoint(folder, method())
        return folder

    return write


FILES: dict[str, Callable[[Path], Path]] = {
    "fp8": quantized(quantizers.fp8),
    "awq": quantized(quantizers.awq),
    "gptq": quantized(quantizers.gptq),
    "compressed-tensors": quantized(lambda: quantizers.compressed_tensors("pack-quantized", 4, group=32)),
    "gguf": gguf,
}


def test_the_bundled_model_says_the_same_from_a_gguf_file(tmp_path: Path) -> None:
    """Weights, tokenizer, template and end tokens are all in the file; BF16 keeps every bit."""
    write_gguf(tmp_path / "demo.gguf", demo.path(), lambda name, tensor: Type.BF16)
    expected, record = answer(demo.path()), answer(tmp_path / "demo.gguf")
    for field in ("answer", "thinking", "prompt_tokens", "new_tokens"):
        assert record[field] == expected[field], field
    assert record["answer"].strip()


@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
def test_every_format_answers_and_is_measured(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    assert answer(path, "--max-tokens", "4")["new_tokens"] == 4
    done = run("bench", "--model", str(path), *FAST, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    file = path if path.is_file() else path / "model.safetensors"
    assert report["checkpoint_bytes"] == file.stat().st_size
    assert report["decode_tokens_per_s"] > 0


@pytest.mark.parametrize("weights", ["auto", "bf16", "int8", "int4"])
@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
def test_the_plan_foresees_the_bytes(tmp_path: Path, write: Callable[[Path], Path], weights: str) -> None:
    """What will be loaded, to the byte: here every matrix is whole panels. Vectors are counted like matrices."""
    path = write(tmp_path)
    with Checkpoint.open(path) as checkpoint:
        planned = plan(checkpoint.config, checkpoint.counts, EngineOptions(weights=weights), None)  # type: ignore[arg-type]
        vectors = 2 * (2 * 256 + 2 * 64) + 256
    with Engine.load(path, weights=weights) as engine:  # type: ignore[arg-type]
        assert 0 <= planned.weights - engine.memory().weights <= 4 * vectors


def test_a_folder_of_one_gguf_file_says_so(tmp_path: Path) -> None:
    path = gguf(tmp_path / "made")
    folder = tmp_path / "alone"
    folder.mkdir()
    shutil.move(path, folder / "model.gguf")
    with pytest.raises(
        CheckpointError, match=r"alone: holds no config\.json, but model\.gguf: .*--model .*model\.gguf"
    ):
        preflight(folder)
    done = run("--model", str(folder), "-p", "Hi")
    assert done.returncode == 3
    assert "--model" in done.stderr and done.stderr.count("\n") == 1


def test_a_broken_gguf_file_is_one_clear_line(tmp_path: Path) -> None:
    path = gguf(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    for arguments in (("-p", "Hi"), ("--plain",)):
        done = run("--model", str(path), *arguments, stdin=b"Hi\n")
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("qwen3-chat: ") and done.stderr.count("\n") == 1
        assert "model.gguf" in done.stderr and "truncated" in done.stderr


def test_names_for_people(tmp_path: Path) -> None:
    path = gguf(tmp_path)
    with ChatModel.load(path) as model:
        assert model.name == "model"
        assert model.thinking_mode == "switch"
        assert not model.is_demo
        assert model.engine.weights == "int4"
