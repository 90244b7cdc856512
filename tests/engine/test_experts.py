"""Mixture of experts: what the reference computes, however tokens are batched and experts are split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantizers
import torch
from checkpoints import ExpertShape, make_checkpoint
from dummy_models import (
    Array,
    DummyModel,
    append,
    assert_same_choice,
    dummy_model,
    needs_emulated_gpu,
    random_ids,
    relative_error,
    rms_error,
)
from gguf import GGMLQuantizationType as Type
from gguf_files import write_gguf
from quantizers import quantize_checkpoint
from rounded import RoundedReference

from qwen3_chat.engine import CheckpointError, ConfigError, Engine, StepRequest
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.reference import Reference

F32 = 1e-5

SHAPES: dict[str, dict[str, Any]] = {
    "3 of 8": {"experts": ExpertShape()},
    "not normalised": {"experts": ExpertShape(normalised=False)},
    "1 of 5": {"experts": ExpertShape(5, 1, 32)},
    "all of 4, odd sizes": {"experts": ExpertShape(4, 4, 77), "hidden": 50},
    "a granule for one device": {"experts": ExpertShape(6, 2, 20), "hidden": 54, "vocab": 67},
    "dense layers between": {"experts": ExpertShape(dense_layers=(0, 2)), "layers": 4, "tied": True},
    "dense layers alone": {"experts": ExpertShape(dense_layers=(0, 1))},
    "8 of 128": {"experts": ExpertShape(128, 8, 32), "layers": 1},
}


def names(count: int) -> str:
    return ",".join(f"cpu:{index}" for index in range(count))


def clear(model: DummyModel, ids: Any, margin: float = 1e-5) -> bool:
    """Whether no token's last expert and the first left out are so close that rounding decides."""

    class Watched(Reference):
        least = float("inf")

        def _route(self, x: torch.Tensor, name: str) -> torch.Tensor:
            logits = super()._route(x, name)
            k = self.config.experts.per_token  # type: ignore[union-attr]
            if k < logits.shape[1]:
                best = logits.sort(descending=True).values
                self.least = min(self.least, float((best[:, k - 1] - best[:, k]).min()))
            return logits

    watched = Watched(model.config, {name: torch.from_numpy(array) for name, array in model.tensors.items()})
    watched.forward(ids.tolist())
    return watched.least > margin


@pytest.fixture(scope="module")
def moe() -> DummyModel:
    return dummy_model(experts=ExpertShape(8, 3, 64), layers=2)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_split_computes_the_same(shape: dict[str, Any], count: int) -> None:
    model = dummy_model(**shape)
    ids = random_ids(80, model.config.vocab_size)
    assert clear(model, ids)
    with model.engine(names(count), threads=count) as engine:
        whole = engine.forward(ids)
        stepwise = append(engine, engine.new_cache(), ids, [70] + [1] * 10)
    expected = model.logits(ids)
    assert relative_error(whole, expected) <= F32
    assert relative_error(stepwise, expected) <= F32
    assert_same_choice(whole, expected, F32)


@pytest.mark.parametrize("kept", ["f32", "bf16", "int8", "int4"])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_change_no_bit(moe: DummyModel, kept: str, threads: int) -> None:
    """Neither the chunks of a prompt, nor other requests in the step, nor threads."""
    ids = random_ids(120)
    with moe.engine(weights_dtype=kept) as engine:
        expected = engine.forward(ids)
    with moe.engine(weights_dtype=kept, threads=threads) as engine:
        assert np.array_equal(engine.forward(ids), expected)
        assert np.array_equal(append(engine, engine.new_cache(), ids, [64, 1, 1, 20, 34]), expected)
        caches = [engine.new_cache() for _ in range(3)]
        engine.step([StepRequest(ids[:60], caches[0], "none"), StepRequest(ids[:119], caches[1], "none")])
        mixed = engine.step(
            [
                StepRequest(ids[60:], caches[0], "all"),
                StepRequest(ids[119:], caches[1], "all"),
                StepRequest(ids[:50], caches[2], "all"),
            ]
        )
    for rows, part in zip(mixed, (expected[60:], expected[119:], expected[:50]), strict=True):
        assert rows is not None and np.array_equal(rows, part)


@pytest.mark.parametrize("kept", ["int8", "int4"])
def test_integers_round_what_they_say_and_nothing_else(moe: DummyModel, kept: str) -> None:
    """The router's weights and its view of the activations are not rounded."""
    ids = random_ids(60)
    state = {name: torch.from_numpy(array) for name, array in moe.tensors.items()}
    expected = np.asarray(RoundedReference(moe.config, state, kept).forward(ids.tolist()), np.float32)
    with moe.engine(weights_dtype=kept, kv="f32") as engine:
        logits = engine.forward(ids)
    # Where a rounded activation falls on the other side of a half, a token may choose another expert.
    far = np.abs(logits - expected).max(axis=1) > 1e-3 * np.abs(expected).max()
    assert far.mean() < 0.2
    assert rms_error(logits[~far], expected[~far]) <= 1e-3 < rms_error(logits, moe.logits(ids))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_width_weights_are_used_exactly(checkpoint: Callable[..., Path], dtype: str) -> None:
    folder = checkpoint(dtype=dtype, experts=ExpertShape(8, 2, 40), vocab=131)
    ids = random_ids(60, 131)
    expected = np.asarray(Reference.from_checkpoint(folder).forward(ids.tolist()), np.float32)
    with Engine.load(folder, kv="f32", threads=2) as engine:
        assert relative_error(engine.forward(ids), expected) <= F32


FORMATS = {
    "fp8": quantizers.fp8,
    "awq": quantizers.awq,
    "gptq, act-order": lambda: quantizers.gptq(act_order=True),
    "pack-quantized": lambda: quantizers.compressed_tensors("pack-quantized", 4, group=32),
}
QUANTIZED = {"hidden": 128, "heads": 4, "head_dim": 32, "vocab": 160, "tied": False, "experts": ExpertShape(4, 2, 64)}


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1"])
@pytest.mark.parametrize("method", FORMATS.values(), ids=FORMATS)
def test_quantized_files(tmp_path: Path, method: Any, devices: str) -> None:
    make_checkpoint(tmp_path, **QUANTIZED)
    meaning = quantize_checkpoint(tmp_path, method())
    with Checkpoint.open(tmp_path) as checkpoint:
        reference = Reference(checkpoint.config, {name: torch.from_numpy(array) for name, array in meaning.items()})
    ids = random_ids(40, 160)
    with Engine.load(tmp_path, devices, weights="f32", kv="f32", threads=2) as engine:
        assert relative_error(engine.forward(ids), reference.forward(ids.tolist()).numpy()) <= 2e-5


def medium(name: str, tensor: Array) -> Type:
    """Experts of a layer share a type in these files, but not the three projections."""
    return Type.Q6_K if "down_proj" in name else Type.Q4_K


@pytest.mark.parametrize("kind", [medium, lambda name, tensor: Type.Q8_0, lambda name, tensor: Type.F16])
def test_gguf(tmp_path: Path, kind: Any) -> None:
    shape = {"hidden": 256, "head_dim": 64, "vocab": 200, "experts": ExpertShape(5, 2, 256, dense_layers=(1,))}
    make_checkpoint(tmp_path, **shape, intermediate=256)
    path = tmp_path / "model.gguf"
    meaning = write_gguf(path, tmp_path, kind)
    with Checkpoint.open(path) as checkpoint:
        reference = Reference(checkpoint.config, {name: torch.from_numpy(array) for name, array in meaning.items()})
    ids = random_ids(40, 200)
    expected = reference.forward(ids.tolist()).numpy()
    with Engine.load(path, weights="f32", kv="f32", threads=2) as engine:
        assert relative_error(engine.forward(ids), expected) <= 2e-5
    with Engine.load(path, kv="f32", threads=2) as engine:
        logits = engine.forward(ids)
        assert np.array_equal(append(engine, engine.new_cache(), ids, [30, 1, 1, 8]), logits)


# ---- what is counted ------------------------------------------------------------------------------------------------


def test_tokens_of_every_expert_are_counted(moe: DummyModel) -> None:
    ids = random_ids(50)
    with moe.engine(names(2), threads=2) as engine:
        assert engine.profile(kind="prefill").expert_tokens.size == 0
        cache = engine.new_cache()
        append(engine, cache, ids, [40, 1, 1, 8])
        prefill, decode = engine.profile(kind="prefill").expert_tokens, engine.profile(reset=True).expert_tokens
        assert prefill.shape == decode.shape == (2, 8)
        assert (prefill.sum(axis=1) == 3 * 48).all() and (decode.sum(axis=1) == 3 * 2).all()
        assert decode.max() <= 2
        append(engine, cache, ids[:1], [1])
        assert (engine.profile().expert_tokens.sum(axis=1) == 3).all()
    state = {name: torch.from_numpy(array) for name, array in moe.tensors.items()}
    chosen: list[torch.Tensor] = []

    class Watched(Reference):
        def _route(self, x: torch.Tensor, name: str) -> torch.Tensor:
            logits = super()._route(x, name)
            chosen.append(logits.topk(3).indices)
            return logits

    Watched(moe.config, state).forward(ids.tolist())
    counts = np.stack([np.bincount(layer.flatten(), minlength=8) for layer in chosen])
    assert np.array_equal(prefill + decode, counts)


def test_a_dense_model_has_no_experts_to_count(model: DummyModel) -> None:
    with model.engine() as engine:
        engine.forward(random_ids(5))
        assert engine.profile(kind="prefill").expert_tokens.shape == (0, 0)


def test_a_token_reads_only_its_experts() -> None:
    shape: dict[str, Any] = {"hidden": 64, "layers": 3, "tied": True, "vocab": 128}
    few = dummy_model(**shape, experts=ExpertShape(8, 2, 64, dense_layers=(1,)))
    with few.engine(weights_dtype="f32") as engine:
        memory = engine.memory()
    expert = 3 * 64 * 64 * 4  # bytes
    assert memory.weights - memory.weights_per_step == 2 * 6 * expert
    assert memory.weights > 2 * 8 * expert


@pytest.mark.parametrize("weights", ["f32", "int8"])
def test_what_is_not_chosen_is_not_looked_at(moe: DummyModel, weights: str) -> None:
    """A NaN in the experts that a token is not sent to changes nothing."""
    with moe.engine(weights_dtype=weights) as engine:
        expected = engine.forward([5])
        chosen = engine.profile(kind="decode").expert_tokens
    sparse = [layer for layer in range(moe.config.num_hidden_layers) if moe.config.is_sparse(layer)]
    poisoned = dict(moe.tensors)
    for row, layer in zip(chosen, sparse, strict=True):
        for expert in np.flatnonzero(row == 0):
            name = f"model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight"
            poisoned[name] = np.full_like(poisoned[name], np.nan)
    with DummyModel(moe.config, poisoned).engine(weights_dtype=weights) as engine:
        assert np.array_equal(engine.forward([5]), expected)


# ---- what is refused ------------------------------------------------------------------------------------------------


@needs_emulated_gpu
def test_gpus_run_dense_models_only(moe: DummyModel) -> None:
    with pytest.raises(ConfigError, match=r"mixture of experts.*--devices cpu:0"):
        moe.engine("cudaemu:0")


@pytest.mark.parametrize(
    ("slot", "words"),
    [
        ("moe_router", "weight moe_router[0] is missing; expected [8, 48]"),
        ("expert_up_proj", "weight expert_up_proj[0][0] is missing; expected [64, 48]"),
        ("expert_down_proj", "weight expert_down_proj[0][0] is missing; expected [48, 64]"),
    ],
)
def test_a_missing_weight_is_named(moe: DummyModel, slot: str, words: str) -> None:
    weights = moe.weights()
    object.__setattr__(weights, slot, ())
    with pytest.raises(CheckpointError) as caught:
        Engine.from_weights(moe.meta, weights)
    assert words in str(caught.value)


def test_a_wrongly_shaped_expert_is_named(moe: DummyModel) -> None:
    name = "model.layers.1.mlp.experts.2.gate_proj.weight"
    with pytest.raises(CheckpointError, match=r"expert_gate_proj\[1\]\[2\] has shape \[64, 47\]; expected \[64, 48\]"):
        moe.changed(name, np.zeros((64, 47), np.float32)).engine()


def test_more_arrays_than_experts(moe: DummyModel) -> None:
    weights = moe.weights()
    object.__setattr__(weights, "expert_up_proj", [*weights.expert_up_proj, weights.expert_up_proj[0]])
    with pytest.raises(CheckpointError, match="17 arrays: the model has 2 layers of 8 experts"):
        Engine.from_weights(moe.meta, weights)


def test_experts_outside_the_model(moe: DummyModel) -> None:
    from qwen3_chat.engine import _core

    weights = _core.Weights(2, 8)
    array = np.zeros((64, 48), np.float32)
    for slot, index in (("expert_up_proj", 16), ("expert_up_proj", -1), ("moe_router", 2)):
        with pytest.raises(CheckpointError, match=f"{slot}.*2 layers"):
            weights.set(slot, index, array, None, None, False)


@pytest.mark.parametrize(
    ("experts", "words"),
    [
        ({"count": 8, "per_token": 9, "di": 4}, "meta.experts.per_token is 9"),
        ({"count": -1, "per_token": 1, "di": 4}, "meta.experts.count is -1"),
        ({"count": 8, "per_token": 2, "di": 0}, "meta.experts.di is 0"),
        ({"count": 8, "per_token": 2, "di": 4, "dense_layers": [2]}, "meta.experts.dense_layers holds 2"),
        ({"count": 8, "per_token": 2, "di": 4, "dense_layers": [1, 0]}, "ascending layers"),
    ],
)
def test_shapes_that_cannot_be(model: DummyModel, experts: dict[str, Any], words: str) -> None:
    from qwen3_chat.engine import _core

    meta = _core.Meta(
        nlayer=2, d=48, nh=4, nkvh=2, dh=16, di=96, dctx=64, dvoc=101, epsilon=1e-6, theta=1e6, end_tokens=[],
        tie_embd=False, yarn=model.meta._native_yarn(),
        experts=_core.Experts(**{"normalised": True, "dense_layers": [], **experts}),
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        meta.validate()
    assert words in str(caught.value)
