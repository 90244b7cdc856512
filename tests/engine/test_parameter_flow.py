"""Every parameter reaches the logits, alone, exactly as it does in the reference; what does not fit is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from dummy_models import DummyModel, append, dummy_model, random_ids, relative_error

from qwen3_chat.engine import CheckpointError, ConfigError, Engine, Qwen3Meta, Qwen3Weights, StepRequest
from qwen3_chat.models.checkpoint import model_slots
from qwen3_chat.models.rope_scaling import YarnScaling

F32 = 1e-5
CHANGED = 1e-3  # a change that nobody can take for rounding
MODEL = dummy_model(eos=(3,))
IDS = random_ids(24)
SLOTS = {f"{slot.name}[{slot.layer}]": name for name, slot in model_slots(MODEL.config).items()}
LAYERED = sorted({slot.name for slot in model_slots(MODEL.config).values() if slot.layer >= 0})


@pytest.fixture(scope="module")
def base() -> Any:
    return MODEL.logits(IDS)


def check(model: DummyModel, base: Any, *, changes: bool) -> None:
    with model.engine() as engine:
        logits = engine.forward(IDS)
    expected = model.logits(IDS)
    assert relative_error(logits, expected) <= F32
    distance = relative_error(expected, base)
    assert distance > CHANGED if changes else distance == 0


@pytest.mark.parametrize("name", SLOTS.values(), ids=SLOTS)
def test_every_weight_slot(base: Any, name: str) -> None:
    array = MODEL.tensors[name]
    noise = np.random.default_rng(1).standard_normal(array.shape, dtype=np.float32)
    check(MODEL.changed(name, array + noise * np.float32(0.5) * array.std()), base, changes=True)


def test_the_reference_itself(base: Any) -> None:
    check(MODEL, base, changes=False)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"num_hidden_layers": 1}, True),
        ({"rms_norm_eps": 0.1}, True),
        ({"rope_theta": 100.0}, True),
        ({"rope_scaling": YarnScaling(2.0, 32)}, True),
        ({"rope_scaling": YarnScaling(2.0, 32, beta_fast=4.0)}, True),
        ({"rope_scaling": YarnScaling(1.0, 32)}, False),
        ({"tie_word_embeddings": True}, True),
        ({"max_position_embeddings": 64}, False),
        ({"eos_token_ids": (7, 8)}, False),
    ],
    ids=str,
)
def test_every_meta_field(base: Any, fields: dict[str, Any], changes: bool) -> None:
    check(MODEL.with_config(**fields), base, changes=changes)


@pytest.mark.parametrize(
    ("fields", "slot"),
    [
        ({"d": 47}, "input_embd"),
        ({"dvoc": 100}, "input_embd"),
        ({"nh": 6}, "attn_q_proj"),
        ({"nkvh": 1}, "attn_k_proj"),
        ({"dh": 14}, "attn_q_norm"),
        ({"di": 95}, "mlp_gate_proj"),
        ({"nlayer": 3}, "attn_norm"),
    ],
    ids=str,
)
def test_a_meta_field_that_contradicts_the_weights(fields: dict[str, Any], slot: str) -> None:
    meta = dataclasses.replace(MODEL.meta, **fields)
    with pytest.raises(CheckpointError, match=rf"{slot}\b.*expected \["):
        Engine.from_weights(meta, MODEL.weights(), threads=1)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"nlayer": 0}, "nlayer"),
        ({"d": 0}, r"\bd\b"),
        ({"nh": -4}, r"\bnh\b"),
        ({"nkvh": 3}, "nkvh"),
        ({"dh": 15}, r"\bdh\b"),
        ({"di": 1.5}, r"\bdi\b"),
        ({"dctx": True}, "dctx"),
        ({"dvoc": 2**40}, "dvoc"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": -1e-6}, "epsilon"),
        ({"theta": 0.0}, "theta"),
        ({"theta": float("inf")}, "theta"),
        ({"theta": "1e6"}, "theta"),
        ({"end_tokens": [101]}, "end_tokens"),
        ({"end_tokens": [-1]}, "end_tokens"),
        ({"end_tokens": ["a"]}, "end_tokens"),
    ],
    ids=str,
)
def test_an_impossible_meta_field_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Qwen3Meta(**{field.name: getattr(MODEL.meta, field.name) for field in dataclasses.fields(Qwen3Meta)} | fields)


def replaced(slot: str, array: Any, layer: int = 1) -> Qwen3Weights:
    weights = MODEL.weights()
    if slot in LAYERED:
        array = [*getattr(weights, slot)[:layer], array, *getattr(weights, slot)[layer + 1 :]]
    return dataclasses.replace(weights, **{slot: array})


@pytest.mark.parametrize("slot", ["input_embd", "output_norm", "output_embd", *LAYERED])
def test_a_wrong_slot_is_named(slot: str) -> None:
    good = getattr(MODEL.weights(), slot)
    name = slot
    if slot in LAYERED:
        good, name = good[1], rf"{slot}\[1\]"
    wider = np.concatenate([good, good[..., :1]], axis=-1)
    for wrong, said in (
        (None, "missing"),
        (wider, "shape"),
        (good[:-1], "shape"),
        (good[None], "shape"),
        (good.astype(np.float64), "type|read"),
        (good.astype(np.int32), "type|read"),
        (good.tolist(), "array"),
        (np.asfortranarray(np.stack([good, good]))[1], "contiguous"),
    ):
        with pytest.raises(CheckpointError, match=rf"{name}.*({said})"):
            Engine.from_weights(MODEL.meta, replaced(slot, wrong), threads=1)


def test_a_slot_with_the_wrong_number_of_layers() -> None:
    weights = MODEL.weights()
    with pytest.raises(CheckpointError, match=r"ffn_norm.*3 arrays"):
        Engine.from_weights(MODEL.meta, dataclasses.replace(weights, ffn_norm=[*weights.ffn_norm, weights.ffn_norm[0]]))
    with pytest.raises(CheckpointError, match=r"ffn_norm\[1\].*missing"):
        Engine.from_weights(MODEL.meta, dataclasses.replace(weights, ffn_norm=weights.ffn_norm[:1]))


@pytest.mark.parametrize("slot", ["attn_q_norm", "attn_k_norm"])
def test_without_query_and_key_norms_it_is_no_qwen3(slot: str) -> None:
    with pytest.raises(CheckpointError, match=slot):
        Engine.from_weights(MODEL.meta, replaced(slot, None))
    nothing: Any = {slot: None}
    with pytest.raises(CheckpointError, match=slot):
        Engine.from_weights(MODEL.meta, dataclasses.replace(MODEL.weights(), **nothing))


def test_a_tied_model_takes_no_head() -> None:
    meta = dataclasses.replace(MODEL.meta, tie_embd=True)
    with pytest.raises(CheckpointError, match=r"output_embd.*tie"):
        Engine.from_weights(meta, MODEL.weights())


# ---- the arguments of a batch ----------------------------------------------------------------------------------------


def test_tokens_reach_the_logits(shared_engine: Engine) -> None:
    """A changed token changes its own position and those after it, and none before."""
    ids = random_ids(100)
    base = shared_engine.forward(ids)
    for position in (0, 50, 99):
        changed = ids.copy()
        changed[position] = (ids[position] + 1) % 101
        logits = shared_engine.forward(changed)
        assert np.array_equal(logits[:position], base[:position])
        assert all(relative_error(logits[i : i + 1], base[i : i + 1]) > 0 for i in range(position, 100))


def test_positions_reach_the_logits(shared_engine: Engine) -> None:
    """The same tokens behind another prefix are at other positions, with other logits."""
    model = dummy_model(eos=(3, 5))
    tail, first, second = random_ids(5), random_ids(7, seed=1), random_ids(8, seed=2)
    results = []
    for prefix in (first, second):
        cache = shared_engine.new_cache()
        append(shared_engine, cache, prefix, [len(prefix)])
        results.append(append(shared_engine, cache, tail, [5]))
        rounding = {"f32": F32, "bf16": 0.02, "int8": 0.1, "int4": 0.6}[shared_engine.weights]
        assert relative_error(results[-1], model.logits([*prefix, *tail])[len(prefix) :]) <= rounding
    assert relative_error(results[0], results[1]) > CHANGED


def test_a_request_that_cannot_be_changes_nothing(shared_engine: Engine) -> None:
    ids = random_ids(70)
    good, other = shared_engine.new_cache(), shared_engine.new_cache()
    append(shared_engine, good, ids, [70])
    pages = shared_engine.memory().kv_pages_used
    for tokens, cache, said in (
        ([101], other, "101"),
        ([-1], other, "-1"),
        ([], other, "empty|token"),
        ([1.5], other, "integer"),
        ([[1, 2]], other, "flat|axes"),
        (["a"], other, "integer"),
        ([1], good, "in use"),
        ([1], None, "cache"),
    ):
        with pytest.raises(ConfigError, match=said):
            shared_engine.step([StepRequest([1], good, "none"), StepRequest(tokens, cache, "none")])  # type: ignore[arg-type]
        assert (good.tokens, other.tokens) == (ids.tolist(), [])
        assert shared_engine.memory().kv_pages_used == pages
    with pytest.raises(ConfigError, match="logits = 'first'"):
        shared_engine.step([StepRequest([1], other, "first")])  # type: ignore[arg-type]


def test_a_cache_of_another_engine(shared_engine: Engine) -> None:
    with MODEL.engine() as other:
        cache = other.new_cache()
        with pytest.raises(ConfigError, match="another engine"):
            shared_engine.step([StepRequest([1], cache)])
        with pytest.raises(ConfigError, match="another engine"):
            shared_engine.generate([1], cache)
        assert len(cache) == 0


def test_ids_may_be_any_integers(shared_engine: Engine) -> None:
    import torch

    base = shared_engine.forward([1, 2, 3])
    for ids in ((1, 2, 3), range(1, 4), np.array([1, 2, 3]), np.array([1, 2, 3], np.uint8), torch.tensor([1, 2, 3])):
        assert np.array_equal(shared_engine.forward(ids), base)  # type: ignore[arg-type]
    assert np.array_equal(shared_engine.forward(np.array([1, 9, 2, 9, 3])[::2]), base)
