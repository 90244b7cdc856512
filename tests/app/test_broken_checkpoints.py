"""Whatever is wrong with a checkpoint: exit code 3, one clear line on standard error, no traceback."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import make_checkpoint, random_weights, write_weights
from processes import run

Break = Callable[[Path], None]
WEIGHTS = "model.safetensors"
LOOP = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
REACH = "{{ ''.__class__.__mro__[1].__subclasses__() }}"


def edit_json(name: str, **changes: object) -> Break:
    def edit(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return edit


def edit_header(change: Callable[[dict[str, Any]], None]) -> Break:
    """Rewrite the header of the weights, their bytes left alone."""

    def edit(folder: Path) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return edit


def overlap(header: dict[str, Any]) -> None:
    names = [name for name in header if name.endswith("q_norm.weight")]
    header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def truncate(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def huge_header(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", 2**60) + data[8:])


def weights(**changes: int) -> dict[str, Any]:
    shape = {"hidden": 64, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 16, "intermediate": 96, "vocab": 384}
    return dict(random_weights(**{**shape, **changes}, tied=True, seed=0))


def wrong_shapes(folder: Path) -> None:
    write_weights(folder, weights(intermediate=80))


def missing_tensor(folder: Path) -> None:
    write_weights(folder, {name: array for name, array in weights().items() if name != "model.norm.weight"})


def not_a_number(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(file.read_text().replace("1000000.0", "NaN"))
    assert "NaN" in file.read_text()


BROKEN: dict[str, tuple[Break, tuple[str, ...]]] = {  # what is broken -> how, and what the line must name
    "no such path": (shutil.rmtree, ("no such folder",)),
    "a file": (lambda folder: (shutil.rmtree(folder), folder.write_text("hello"))[1] and None, ("is a file",)),
    "empty folder": (empty, ("config.json",)),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), ("safetensors",)),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), ("tokenizer.json",)),
    "broken tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}") and None, ("tokenizer.json",)),
    "a folder for a tokenizer": (
        lambda folder: ((folder / "tokenizer.json").unlink(), (folder / "tokenizer.json").mkdir())[1],
        ("tokenizer.json", "not a regular file"),
    ),
    "a tokenizer that is no BPE": (
        edit_json("tokenizer.json", model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"}),
        ("tokenizer.json", "WordLevel"),
    ),
    "truncated weights": (truncate, (WEIGHTS,)),
    "empty weights": (lambda folder: (folder / WEIGHTS).write_bytes(b"") and None, (WEIGHTS,)),
    "header length 2^60": (huge_header, (WEIGHTS, "header")),
    "overlapping offsets": (edit_header(overlap), (WEIGHTS, "q_norm")),
    "wrong shapes": (wrong_shapes, ("gate_proj", "80", "96")),
    "missing tensor": (missing_tensor, ("model.norm.weight",)),
    "zero heads": (edit_json("config.json", num_attention_heads=0), ("config.json", "num_attention_heads")),
    "NaN in the config": (not_a_number, ("config.json", "NaN")),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{") and None, ("config.json", "JSON")),
    "other architecture": (
        edit_json("config.json", architectures=["LlamaForCausalLM"], model_type="llama"),
        ("config.json", "LlamaForCausalLM"),
    ),
    "quantized": (edit_json("config.json", quantization_config={"quant_method": "fp8"}), ("config.json", "fp8")),
    "a template that loops": (edit_json("tokenizer_config.json", chat_template=LOOP), ("template",)),
    "a template that reaches out": (edit_json("tokenizer_config.json", chat_template=REACH), ("template",)),
    "a template that is none": (edit_json("tokenizer_config.json", chat_template="{% if %}"), ("template",)),
    "a template that says nothing": (edit_json("tokenizer_config.json", chat_template=""), ("template", "empty")),
    "a wrong default": (edit_json("generation_config.json", top_p=3), ("generation_config.json", "top_p")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_one_clear_line(name: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", tokenizer=True)
    break_it, names = BROKEN[name]
    break_it(folder)
    assert_one_line(folder, names)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", tokenizer=True, shards=3)
    shard = sorted(folder.glob("*-of-*.safetensors"))[1]
    shard.unlink()
    assert_one_line(folder, (shard.name,))


def assert_one_line(folder: Path, names: tuple[str, ...]) -> None:
    for arguments in (("-p", "Hi"), ("--plain",)):
        done = run("--model", str(folder), *arguments, stdin=b"Hi\n")
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert done.stderr.startswith("qwen3-chat: ")
        assert done.stderr.count("\n") == 1, done.stderr
        assert str(folder) in done.stderr
        for part in names:
            assert part in done.stderr


def test_the_test_breaks_what_works(tmp_path: Path) -> None:
    """The same folder, whole, is answered from: nothing above fails for another reason."""
    folder = make_checkpoint(tmp_path / "model", tokenizer=True)
    done = run("--model", str(folder), "-p", "Hi", "--max-tokens", "3", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["new_tokens"] <= 3
    assert np.isfinite(json.loads(done.stdout)["load_s"])
