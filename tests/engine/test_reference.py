"""The engine computes what the reference computes: every shape, every weight type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dummy_models import Array, assert_same_choice, dummy_model, random_ids, relative_error

from qwen3_chat.engine import ConfigError, Engine
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.reference import KVCache, Reference
from qwen3_chat.models.rope_scaling import YarnScaling

MakeCheckpoint = Callable[..., Path]

F32 = 1e-5  # relative error of float32 weights and KV
BF16_KV = 5e-3  # of a bfloat16 KV cache

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}

SHAPES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tied": False},
    "head repeated in the file": {"lm_head": "repeat"},
    "heads wider than the hidden size": {"hidden": 48, "heads": 4, "head_dim": 20},
    "heads narrower than the hidden size": {"hidden": 96, "heads": 2, "kv_heads": 2, "head_dim": 8},
    "1 KV head": {"kv_heads": 1},
    "8 KV heads": {"heads": 8, "kv_heads": 8, "head_dim": 8},
    "8 heads on 4 KV heads": {"heads": 8, "kv_heads": 4},
    "odd vocabulary": {"vocab": 331},
    "tiny vocabulary, untied": {"vocab": 7, "tied": False},
    "odd sizes": {"hidden": 54, "intermediate": 77, "head_dim": 10, "vocab": 67},
    "one layer": {"layers": 1},
    "five layers": {"layers": 5, "tied": False},
    "several files": {"shards": 5, "tied": False},
    "small theta, large eps": {"rope_theta": 1e4, "eps": 1e-3},
    "head dimension 128": {"head_dim": 128, "heads": 2, "kv_heads": 1},
    "YaRN": {"head_dim": 64, "rope_theta": 1e4, "config_overrides": {"rope_scaling": YARN}},
    "newer spelling": {"spelling": "transformers5", "rope_theta": 5e5},
}


def reference_logits(folder: Path, ids: Any) -> Array:
    return np.asarray(Reference.from_checkpoint(folder).forward(ids.tolist()), dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape(checkpoint: MakeCheckpoint, shape: dict[str, Any]) -> None:
    folder = checkpoint(**shape)
    ids = random_ids(90, shape.get("vocab", 384))
    with Engine.load(folder, threads=1) as engine:
        assert (engine.weights, engine.kv) == ("f32", "f32")
        logits = engine.forward(ids)
    expected = reference_logits(folder, ids)
    assert logits.dtype == np.float32
    assert relative_error(logits, expected) <= F32
    assert_same_choice(logits, expected, F32)


class RoundedCache(KVCache):
    """The reference's cache as bfloat16 pages hold it."""

    def append(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().append(layer, keys.bfloat16().float(), values.bfloat16().float())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_width_weights(checkpoint: MakeCheckpoint, dtype: str, tied: bool) -> None:
    """Half-width weights are used exactly: the reference upcasts them, and float32 rounding alone remains."""
    folder = checkpoint(dtype=dtype, tied=tied, hidden=72, intermediate=100, vocab=131)
    ids = random_ids(90, 131)
    with Engine.load(folder, kv="f32", threads=1) as engine:
        assert (engine.weights, engine.kv) == ({"bfloat16": "bf16", "float16": "f16"}[dtype], "f32")
        assert relative_error(engine.forward(ids), reference_logits(folder, ids)) <= F32


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_width_pages(checkpoint: MakeCheckpoint, dtype: str, tied: bool) -> None:
    """Keys and values are rounded to the nearest bfloat16, and nothing else is.

    The reference with rounded keys and values is met much closer than the one without. (Not to float32's precision: a
    last bit of difference before the rounding may be a whole step after it.) What rounding costs against the float32
    cache is measured over all logits, since a single one of a small random model may be further out.
    """
    folder = checkpoint(dtype=dtype, tied=tied, hidden=72, intermediate=100, vocab=131)
    ids = random_ids(90, 131)
    reference = Reference.from_checkpoint(folder)
    exact = reference_logits(folder, ids)
    rounded = np.asarray(reference.forward(ids.tolist(), RoundedCache(reference.config)), dtype=np.float32)
    with Engine.load(folder, threads=1) as engine:
        assert engine.kv == "bf16"
        logits = engine.forward(ids)
    assert relative_error(logits, rounded) <= 2e-4
    assert relative_error(logits, exact) > 1e-3
    assert float(np.sqrt(np.square(logits - exact).mean() / np.square(exact).mean())) <= BF16_KV
    assert_same_choice(logits, exact, 2 * BF16_KV)


@pytest.mark.parametrize(("kept", "rounded"), [("bf16", torch.bfloat16), ("f16", torch.float16)])
def test_weights_are_rounded_on_request(kept: str, rounded: torch.dtype) -> None:
    """Matrices are kept in the type asked for, norms in float32."""
    model = dummy_model(tied=True)
    narrow = model
    for name, array in model.tensors.items():
        if array.ndim == 2:
            narrow = narrow.changed(name, torch.tensor(array).to(rounded).to(torch.float32).numpy())
    ids = random_ids(40)
    with model.engine(weights_dtype=kept, kv="f32") as engine:
        assert engine.weights == kept
        logits = engine.forward(ids)
    assert relative_error(logits, narrow.logits(ids)) <= F32
    assert relative_error(logits, model.logits(ids)) > F32


def test_half_width_weights_widened_on_request(checkpoint: MakeCheckpoint) -> None:
    folder = checkpoint(dtype="bfloat16")
    ids = random_ids(40, 384)
    with Engine.load(folder, weights="f32", threads=1) as wide, Engine.load(folder, kv="f32", threads=1) as narrow:
        assert (wide.weights, narrow.weights) == ("f32", "bf16")
        assert wide.memory().weights > 1.8 * narrow.memory().weights
        assert relative_error(wide.forward(ids), narrow.forward(ids)) <= F32


def test_transformers_agrees(checkpoint: MakeCheckpoint) -> None:
    from transformers import Qwen3ForCausalLM

    folder = checkpoint(heads=8, kv_heads=2, head_dim=20, layers=3, tied=False, vocab=331, shards=3)
    ids = random_ids(120, 331)
    published = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        expected = published(torch.tensor(ids[None], dtype=torch.long)).logits[0].numpy()
    with Engine.load(folder, threads=1) as engine:
        logits = engine.forward(ids)
    assert relative_error(logits, expected) <= F32
    assert_same_choice(logits, expected, F32)


def test_a_long_context(checkpoint: MakeCheckpoint) -> None:
    folder = checkpoint(max_positions=2048, layers=1)
    ids = random_ids(1500, 384)
    with Engine.load(folder, threads=1) as engine:
        assert relative_error(engine.forward(ids), reference_logits(folder, ids)) <= F32


def test_decoding_from_the_cache(checkpoint: MakeCheckpoint) -> None:
    """Tokens one by one, each from the cache of those before, are what the reference computes in one pass."""
    from dummy_models import append

    folder = checkpoint()
    ids = random_ids(80, 384)
    with Engine.load(folder, threads=1) as engine:
        logits = append(engine, engine.new_cache(), ids, [10] + [1] * 70)
    assert relative_error(logits, reference_logits(folder, ids)) <= F32


def test_a_context_beyond_the_model_s_own(checkpoint: MakeCheckpoint) -> None:
    """It is YaRN with the factor that this takes, and the engine says so in its config."""
    folder = checkpoint(max_positions=64, head_dim=64, rope_theta=1e4)
    ids = random_ids(90, 384)
    with Engine.load(folder, context=96, threads=1) as engine:
        logits = engine.forward(ids)
        assert engine.context == 96
        assert engine.config is not None and engine.config.rope_scaling == YarnScaling(1.5, 64)
        config = engine.config
    with Checkpoint.open(folder) as opened:
        plain = Reference.from_checkpoint(opened)
    expected = np.asarray(Reference(config, plain.weights).forward(ids.tolist()), dtype=np.float32)
    assert relative_error(logits, expected) <= F32
    with pytest.raises(ConfigError, match="a context of 257 tokens is more than the 256"):
        Engine.load(folder, context=257, threads=1)
