"""What rounding costs the bundled, trained model, on conversations drawn anew from their generator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from dummy_models import Array
from safetensors.torch import load_file, save_file

from qwen3_chat.engine import Engine
from qwen3_chat.models import demo
from qwen3_chat.models.demo.dialogues import dialogue, render
from qwen3_chat.models.tokenizer import Tokenizer


def divergence(result: Array, expected: Array) -> float:
    """Mean Kullback-Leibler divergence of the result from the expected distribution, in nats."""
    p, q = (torch.log_softmax(torch.from_numpy(logits).double(), -1) for logits in (expected, result))
    return float((p.exp() * (p - q)).sum(-1).mean())


def cost(path: Path, weights: Any) -> float:
    """Nats a token, of the bundled model in this file kept as `weights`, to the same file kept in float32."""
    tokenizer = Tokenizer.from_folder(demo.path())
    found = []
    with (
        Engine.load(path, weights="f32", context=1024) as exact,
        Engine.load(path, weights=weights, context=1024) as engine,
    ):
        for seed in range(10):
            text = "".join(segment.text for segment in render(dialogue(Random(f"unseen {seed}")), thinking=False))
            ids = tokenizer.encode(text)
            found.append(divergence(engine.forward(ids), exact.forward(ids)))
    return float(np.mean(found))


def copy_of_the_demo(folder: Path) -> Path:
    """The bundled checkpoint, to be changed."""
    return Path(shutil.copytree(demo.path(), folder, dirs_exist_ok=True))


def widened_demo(folder: Path) -> Path:
    """The same model with hidden and intermediate sizes of whole blocks of 256: the new channels are 0 throughout.

    RMSNorm then divides by more channels, which its weights and its epsilon make up for.
    """
    copy_of_the_demo(folder)
    config = json.loads((folder / "config.json").read_text())
    old = config["hidden_size"]
    new = -(-old // 256) * 256
    inner = -(-config["intermediate_size"] // 256) * 256
    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        weight = tensor.float()
        if name.endswith(("layernorm.weight", "model.norm.weight")):
            weight = weight * (old / new) ** 0.5
        if not name.endswith(("q_norm.weight", "k_norm.weight")):  # those are as wide as a head
            shape = [new if axis == _hidden_axis(name) else size for axis, size in enumerate(weight.shape)]
            if "mlp" in name:
                shape[1 - _hidden_axis(name)] = inner
            pads = [(0, wide - size) for wide, size in zip(shape, weight.shape, strict=True)]
            weight = torch.nn.functional.pad(weight, [size for pair in reversed(pads) for size in pair])
        tensors[name] = weight
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    changed = {
        "hidden_size": new,
        "intermediate_size": inner,
        "rms_norm_eps": config["rms_norm_eps"] * old / new,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps({**config, **changed}))
    return folder


def _hidden_axis(name: str) -> int:
    """The axis of a weight that is the hidden state."""
    return 0 if name.endswith(("norm.weight", "o_proj.weight", "down_proj.weight")) else 1
