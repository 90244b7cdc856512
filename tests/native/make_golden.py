"""Writes golden/*.txt: what the PyTorch reference computes for tiny random models, for tests that run without torch.

    python tests/native/make_golden.py

Weights are not stored: golden.hpp makes the same ones. A tensor is a sequence of 8-bit integers times a power of two,
so that f32, f16 and bf16 hold them exactly and one file serves all three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from qwen3_chat.models.checkpoint import model_slots
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.experts import Experts
from qwen3_chat.models.reference import Reference

FOLDER = Path(__file__).parent / "golden"

TOKENS = 150  # three pages
POSITIONS = (0, 1, 15, 16, 17, 62, 63, 64, 65, 66, 100, 127, 128, 129, 149)  # around the ends of panels and pages

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Golden:
    """A model and its logits [len(POSITIONS), vocab]."""

    config: Qwen3Config
    ids: Sequence[int]
    logits: Array


def _config(**shape: Any) -> Qwen3Config:
    fixed: dict[str, Any] = {
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "dtype": "float32",
        "eos_token_ids": (),
    }
    return Qwen3Config(**fixed, **shape)


MODELS = {
    "one_kv_head": _config(
        vocab_size=151,
        hidden_size=70,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=1,
        head_dim=18,
        intermediate_size=101,
        tie_word_embeddings=False,
    ),
    "seven_heads": _config(  # 3, 2 and 2 on three devices
        vocab_size=67,
        hidden_size=36,
        num_hidden_layers=3,
        num_attention_heads=7,
        num_key_value_heads=7,
        head_dim=10,
        intermediate_size=53,
        tie_word_embeddings=False,
    ),
    "tied": _config(  # every row a multiple of 32 columns
        vocab_size=160,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=96,
        tie_word_embeddings=True,
    ),
    "experts": _config(  # beside a dense layer
        vocab_size=93,
        hidden_size=54,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=41,
        tie_word_embeddings=False,
        experts=Experts(count=7, per_token=3, intermediate_size=66, dense_layers=(1,)),
    ),
}


def bytes_of(name: str, count: int) -> npt.NDArray[np.int32]:
    """The high bytes of a linear congruential generator that starts from the FNV-1a hash of the name."""
    state = 2166136261
    for byte in name.encode():
        state = (state ^ byte) * 16777619 % 2**32
    values = np.empty(count, np.int32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values[i] = (state >> 24) - 128
    return values


def tensor(slot: str, index: int, shape: tuple[int, ...]) -> Array:
    """Norms from 0.5 to 1.5; matrices that keep about the size of what they are applied to."""
    values = bytes_of(f"{slot}.{max(index, 0)}", math.prod(shape))
    if len(shape) == 1:
        return (1 + (values >> 1) / 128).astype(np.float32)
    columns = 1 << sum(4**bit < shape[1] for bit in range(16))  # the least power of two >= sqrt(columns)
    gain = 2 if slot in ("input_embd", "output_embd") else 1
    return (values * (gain / 64 / columns)).astype(np.float32).reshape(shape)


def make(name: str) -> Golden:
    """Run the reference on the model of that name."""
    config = MODELS[name]
    slots = model_slots(config).items()
    weights = {key: torch.from_numpy(tensor(slot.name, slot.index, slot.shape)) for key, slot in slots}
    ids = ((bytes_of(name, TOKENS) + 128) % config.vocab_size).tolist()
    logits = Reference(config, weights).forward(ids)[list(POSITIONS)]
    return Golden(config, ids, np.asarray(logits, np.float32))


def text_of(golden: Golden) -> str:
    """As golden.hpp reads it: words and numbers, apart from each other by white space."""
    config = golden.config
    shape: dict[str, object] = {
        "nlayer": config.num_hidden_layers,
        "d": config.hidden_size,
        "nh": config.num_attention_heads,
        "nkvh": config.num_key_value_heads,
        "dh": config.head_dim,
        "di": config.intermediate_size,
        "dctx": config.max_position_embeddings,
        "dvoc": config.vocab_size,
        "tied": int(config.tie_word_embeddings),
        "epsilon": config.rms_norm_eps,
        "theta": config.rope_theta,
    }
    if experts := config.experts:
        shape |= {"nexpert": experts.count, "kexpert": experts.per_token, "dexpert": experts.intermediate_size}
        shape |= {"norm_topk": int(experts.normalised), "dense_layer": " ".join(map(str, experts.dense_layers))}
    lines = [f"{key} {value}" for key, value in shape.items()]
    lines.append(f"ids {len(golden.ids)}\n{' '.join(map(str, golden.ids))}")
    lines.append(f"rows {len(POSITIONS)}")
    for position, row in zip(POSITIONS, golden.logits, strict=True):
        lines.append(f"{position}\n{' '.join(f'{value:.7g}' for value in row)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for model in MODELS:
        (FOLDER / f"{model}.txt").write_text(text_of(make(model)), encoding="ascii")
