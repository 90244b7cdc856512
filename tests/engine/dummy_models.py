"""Random models in memory, the reference's logits for them, and the words in which the tests compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from checkpoints import random_weights

from qwen3_chat.engine import Engine, KVCache, Qwen3Meta, Qwen3Weights, StepRequest, _core
from qwen3_chat.models.checkpoint import model_slots
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.reference import Reference

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]

EMULATED_GPUS = Path(_core.__file__).resolve().with_name("libqwen3_cuda_emu.so")
needs_emulated_gpu = pytest.mark.skipif(not EMULATED_GPUS.exists(), reason="built without -DQWEN3_CUDA_EMU=ON")


@dataclass(frozen=True)
class DummyModel:
    """A shape and its float32 weights under their published names."""

    config: Qwen3Config
    tensors: Mapping[str, Array]

    @property
    def meta(self) -> Qwen3Meta:
        return Qwen3Meta.from_config(self.config)

    def weights(self, convert: Callable[[Array], Any] = lambda array: array) -> Qwen3Weights:
        """The weights in the original API's slots, each array as `convert` makes it."""
        slots: dict[str, Any] = {}
        for name, slot in model_slots(self.config).items():
            array = convert(self.tensors[name])
            if slot.layer < 0:
                slots[slot.name] = array
            else:
                slots.setdefault(slot.name, []).append(array)
        return Qwen3Weights(**slots)

    def engine(self, devices: str = "cpu:0", **options: Any) -> Engine:
        return Engine.from_weights(self.meta, self.weights(), devices, **({"threads": 1} | options))

    def logits(self, ids: Sequence[int] | Ids) -> Array:
        """What the reference says: float32 [n, vocab]."""
        state = {name: torch.from_numpy(array) for name, array in self.tensors.items()}
        return np.asarray(Reference(self.config, state).forward(list(map(int, ids))), dtype=np.float32)

    def changed(self, name: str, array: Array) -> DummyModel:
        return dataclasses.replace(self, tensors={**self.tensors, name: array})

    def with_config(self, **fields: Any) -> DummyModel:
        return dataclasses.replace(self, config=dataclasses.replace(self.config, **fields))


def dummy_model(
    *,
    hidden: int = 48,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int = 16,
    intermediate: int = 96,
    vocab: int = 101,
    tied: bool = False,
    max_positions: int = 512,
    eos: Sequence[int] = (),
    seed: int = 0,
) -> DummyModel:
    """A random model; logits have a standard deviation of about 2 and no norm weight is 1."""
    config = Qwen3Config(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=intermediate,
        max_position_embeddings=max_positions,
        rms_norm_eps=1e-6,
        rope_theta=1e6,
        tie_word_embeddings=tied,
        dtype="float32",
        eos_token_ids=tuple(eos),
    )
    tensors = random_weights(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=intermediate,
        vocab=vocab,
        tied=tied,
        seed=seed,
    )
    return DummyModel(config, dict(tensors))


def random_ids(count: int, vocab: int = 101, seed: int = 0) -> Ids:
    return np.random.default_rng(seed).integers(0, vocab, count, dtype=np.int32)


def relative_error(result: Array, expected: Array) -> float:
    """The largest difference, relative to the largest expected value."""
    assert result.shape == expected.shape
    assert np.isfinite(result).all()
    return float(np.abs(result - expected).max() / np.abs(expected).max())


def rms_error(result: Array, expected: Array) -> float:
    """The root mean square of the differences, relative to that of the expected values."""
    return float(np.sqrt(np.square(result - expected).mean() / np.square(expected).mean()))


def assert_same_choice(result: Array, expected: Array, tolerance: float) -> None:
    """The likeliest token agrees wherever the reference's two best are further apart than the two errors can bridge."""
    best, second = -np.sort(-expected, axis=1)[:, :2].T
    clear = best - second > 2 * tolerance * np.abs(expected).max()
    assert clear.mean() > 0.5, "the logits say too little to compare choices"
    assert np.array_equal(result.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])


def append(engine: Engine, cache: KVCache, ids: Sequence[int] | Ids, sizes: Sequence[int]) -> Array:
    """Append `ids` in steps of the given sizes; logits of all of them."""
    assert sum(sizes) == len(ids)
    rows: list[Array] = []
    begin = 0
    for size in sizes:
        (logits,) = engine.step([StepRequest(ids[begin : begin + size], cache, "all")])
        assert logits is not None
        rows.append(logits)
        begin += size
    return np.concatenate(rows)


def eventually(predicate: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until the predicate holds."""
    never = Event()
    for _ in range(int(seconds / 0.002)):
        if predicate():
            return
        never.wait(0.002)
    raise AssertionError("it never came about")


def assert_greedy(engine: Engine, prompt: Sequence[int] | Ids, reply: Sequence[int]) -> None:
    """Every token of the reply is the likeliest one after what stands before it."""
    context = [*map(int, prompt), *reply]
    choices = engine.forward(context[:-1])[len(prompt) - 1 :].argmax(axis=1)
    assert choices.tolist() == list(reply)
