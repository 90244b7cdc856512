"""int8 and int4 weights: exactly the rounding that is documented, and what it costs."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from dummy_models import DummyModel, append, dummy_model, random_ids, rms_error
from rounded import rounded_logits
from trained import divergence

from qwen3_chat.engine import Engine
from qwen3_chat.models import demo
from qwen3_chat.models.demo.dialogues import dialogue, render
from qwen3_chat.models.tokenizer import Tokenizer

INTEGERS = ("int8", "int4")

SHAPES: dict[str, dict[str, Any]] = {
    "tied": {"tied": True},
    "untied": {},
    "odd sizes": {"hidden": 70, "head_dim": 18, "intermediate": 101, "vocab": 151},
    "1 KV head": {"heads": 8, "kv_heads": 1, "head_dim": 8},
    "wide": {"hidden": 256, "heads": 2, "kv_heads": 2, "head_dim": 128, "intermediate": 512, "layers": 4},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kept", INTEGERS)
def test_the_documented_rounding_and_no_other(kept: str, shape: dict[str, Any]) -> None:
    """One token through one layer: float32 rounding alone remains, but for a value that lay between two steps."""
    model = dummy_model(**{**shape, "layers": 1})
    ids = random_ids(60, model.config.vocab_size)
    errors = []
    with model.engine(weights_dtype=kept, kv="f32") as engine:
        assert engine.weights == kept
        for token in ids:
            one = np.array([token])
            errors.append(rms_error(engine.forward(one), rounded_logits(model, one, kept)))
    assert np.quantile(errors, 0.5) <= 1e-5


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1,cpu:2"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kept", INTEGERS)
def test_the_error_is_that_of_the_rounding(kept: str, shape: dict[str, Any], devices: str) -> None:
    """Over many tokens a last bit may decide a step, and steps add up; never to more than the rounding itself does.

    Devices may cut a matrix inside a group, which moves the groups: as good a rounding, but another one.
    """
    model = dummy_model(**({"heads": 4, "kv_heads": 2} | shape))
    if model.config.num_attention_heads < 3 < len(devices):
        devices = "cpu:0,cpu:1"
    ids = random_ids(90, model.config.vocab_size)
    with model.engine(devices, weights_dtype=kept, kv="f32", threads=3) as engine:
        logits = engine.forward(ids)
        assert np.array_equal(append(engine, engine.new_cache(), ids, [64, 1, 1, 20, 4]), logits)
    exact, rounded = model.logits(ids), rounded_logits(model, ids, kept)
    assert rms_error(logits, exact) <= 1.2 * rms_error(rounded, exact)
    assert divergence(logits, exact) <= 1.3 * divergence(rounded, exact)
    if devices == "cpu:0":
        assert rms_error(logits, rounded) <= 0.6 * rms_error(rounded, exact)


@pytest.mark.parametrize(("kept", "bound", "agreement"), [("int8", 1e-3, 0.99), ("int4", 5e-2, 0.93)])
def test_a_trained_model_keeps_its_distribution(kept: str, bound: float, agreement: float) -> None:
    """On conversations drawn anew from the generator of its training; questions are much less certain than replies."""
    tokenizer = Tokenizer.from_folder(demo.path())
    divergences, choices = [], []
    with (
        Engine.load(demo.path(), weights="f32", context=1024) as exact,
        Engine.load(demo.path(), weights=kept, context=1024) as engine,
    ):
        for seed in range(20):
            text = "".join(segment.text for segment in render(dialogue(Random(f"unseen {seed}")), thinking=False))
            ids = tokenizer.encode(text)
            expected, logits = exact.forward(ids), engine.forward(ids)
            divergences.append(divergence(logits, expected))
            choices.append((logits.argmax(-1) == expected.argmax(-1)).mean())
    assert np.mean(divergences) <= bound
    assert np.mean(choices) >= agreement


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kept", INTEGERS)
def test_any_float_can_be_rounded(checkpoint: Any, kept: str, dtype: str) -> None:
    """The same values in another type give the same integers."""
    folder = checkpoint(dtype=dtype)
    ids = random_ids(40, 384)
    model = Engine.load(folder, weights=kept, kv="f32", threads=1)
    with model as engine:
        logits = engine.forward(ids)
    from qwen3_chat.models.reference import Reference

    reference = Reference.from_checkpoint(folder)
    wide = DummyModel(reference.config, {name: tensor.numpy() for name, tensor in reference.weights.items()})
    with wide.engine(weights_dtype=kept, kv="f32") as engine:
        assert np.array_equal(engine.forward(ids), logits)


def test_bytes_of_a_weight() -> None:
    """Blocks of 64 inputs by 16 outputs, 8.5 and 4.5 bits a weight; int4 keeps embedding and head in int8."""
    model = dummy_model(hidden=64, heads=4, kv_heads=2, head_dim=32, intermediate=128, vocab=112, layers=3, tied=False)
    vocabulary = 2 * 112 * 64
    body = 3 * (2 * 64 * 128 + 2 * 64 * 64 + 3 * 64 * 128)
    sizes = {}
    for kept in INTEGERS:
        with model.engine(weights_dtype=kept) as engine:
            sizes[kept] = engine.memory().weights
    assert sizes == {"int8": (vocabulary + body) * 17 // 16, "int4": vocabulary * 17 // 16 + body * 9 // 16}
