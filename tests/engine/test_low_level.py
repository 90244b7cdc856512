"""The original API in Python, over dummy weights in memory: numpy's, torch's, in every type."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from dummy_models import append, dummy_model, random_ids, relative_error

from qwen3_chat.engine import ConfigError, DeviceError, Engine, HostTensor
from qwen3_chat.engine.low_level import (
    create_qwen3_kv_cache,
    create_qwen3_model,
    destroy_qwen3_model,
    drop_qwen3_kv_cache,
    duplicate_qwen3_kv_cache,
    forward_qwen3_batch,
    infer_qwen3_batch,
)

MODEL = dummy_model(eos=(3,))
IDS = random_ids(90)


def bits(array: Any) -> Any:
    """bfloat16 as numpy knows it: not at all, so its 16 bits."""
    return torch.tensor(array).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)


def narrow(dtype: torch.dtype) -> Any:
    """What the reference says on the weights rounded to `dtype`."""
    model = MODEL
    for name, array in MODEL.tensors.items():
        model = model.changed(name, torch.tensor(array).to(dtype).to(torch.float32).numpy())
    return model.logits(IDS)


@pytest.mark.parametrize("dev_ids", [[0], [0, 1], [0, 1, 2]])
def test_the_original_calls(dev_ids: list[int]) -> None:
    model = create_qwen3_model(MODEL.meta, MODEL.weights(), "cpu", dev_ids)
    cache = create_qwen3_kv_cache(model)
    expected = MODEL.logits(IDS)
    logits = forward_qwen3_batch(model, IDS[:70], [70], [0], [cache])
    assert relative_error(logits, expected[:70]) <= 1e-5

    copy = duplicate_qwen3_kv_cache(model, cache, 30)
    assert len(copy) == 30
    both = forward_qwen3_batch(model, [*IDS[70:], *IDS[30:35]], [20, 5], [70, 30], [cache, copy])
    assert relative_error(both[:20], expected[70:]) <= 1e-5
    assert relative_error(both[20:], expected[30:35]) <= 1e-5

    greedy = infer_qwen3_batch(
        model, [IDS[89], IDS[34]], [1, 1], [89, 34], [cache, copy], [0, 0], [0, 0], [1, 1], [0, 0]
    )
    assert greedy == [both[19].argmax(), both[24].argmax()]
    drawn = [
        infer_qwen3_batch(model, [IDS[89]], [1], [89], [cache], [2.0], [50], [0.99], [seed])[0] for seed in range(20)
    ]
    assert len(set(drawn)) > 1
    assert drawn[7] == infer_qwen3_batch(model, [IDS[89]], [1], [89], [cache], [2.0], [50], [0.99], [7])[0]

    drop_qwen3_kv_cache(model, cache)
    drop_qwen3_kv_cache(model, copy)
    assert model.memory().kv_pages_used == 0
    destroy_qwen3_model(model)
    with pytest.raises(DeviceError):
        create_qwen3_kv_cache(model)


@pytest.mark.parametrize(
    ("temperature", "topk", "topp"), [(0.0, 0, 1.0), (3.0, 1, 1.0), (3.0, 0, 1e-6)], ids=["temperature", "topk", "topp"]
)
def test_every_sampling_argument_counts_for_its_own_request(temperature: float, topk: int, topp: float) -> None:
    """Each of the three alone leaves one choice; the request beside it, without, draws from all."""
    with MODEL.engine() as model:
        caches = [create_qwen3_kv_cache(model), create_qwen3_kv_cache(model)]
        rows = forward_qwen3_batch(model, [*IDS[:20], *IDS[20:40]], [20, 20], [0, 0], caches)
        likeliest = rows[[19, 39]].argmax(axis=1).tolist()
        for narrowed in (0, 1):
            arguments = [[3.0, 3.0], [0, 0], [1.0, 1.0]]
            for column, value in zip(arguments, (temperature, topk, topp), strict=True):
                column[narrowed] = value
            drawn = [
                infer_qwen3_batch(model, [IDS[19], IDS[39]], [1, 1], [19, 19], caches, *arguments, [seed, seed])
                for seed in range(20)
            ]
            assert {pair[narrowed] for pair in drawn} == {likeliest[narrowed]}
            assert len({pair[1 - narrowed] for pair in drawn}) > 2


def test_what_lies_behind_the_position_is_forgotten() -> None:
    with MODEL.engine() as model:
        cache = create_qwen3_kv_cache(model)
        expected = model.forward(IDS[:20])
        forward_qwen3_batch(model, random_ids(60, seed=5), [60], [0], [cache])
        assert np.array_equal(forward_qwen3_batch(model, IDS[:20], [20], [0], [cache]), expected)
        assert np.array_equal(forward_qwen3_batch(model, IDS[10:20], [10], [10], [cache]), expected[10:])
        assert cache.tokens == IDS[:20].tolist()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([1], [1], [4], 1), r"req_pos\[0\]"),
        (([1], [1], [-1], 1), r"req_pos\[0\]"),
        (([1, 2], [1], [3], 1), "req_lens"),
        (([1], [2], [3], 1), "req_lens"),
        (([1], [0], [3], 1), "req_lens"),
        (([], [], [], 0), "req_lens"),
        (([1], [1], [], 1), "req_pos"),
        (([1], [1], [3], 0), "kv_caches"),
        (([101], [1], [3], 1), "101"),
        (([1, 1], [1, 1], [3, 3], 2), "in use"),
    ],
    ids=str,
)
def test_a_batch_that_contradicts_itself(arguments: Any, named: str) -> None:
    tokens, req_lens, req_pos, copies = arguments
    with MODEL.engine() as model:
        cache = create_qwen3_kv_cache(model)
        append(model, cache, [1, 2, 3], [3])
        with pytest.raises(ConfigError, match=named):
            forward_qwen3_batch(model, tokens, req_lens, req_pos, [cache] * copies)
        assert cache.tokens == [1, 2, 3]
        with pytest.raises(ConfigError, match="topk"):
            infer_qwen3_batch(model, [1], [1], [3], [cache], [0], [], [1], [0])


@pytest.mark.parametrize(
    ("convert", "dtype", "kept"),
    [
        (np.asarray, torch.float32, "f32"),
        (lambda array: array.astype(np.float16), torch.float16, "f16"),
        (torch.tensor, torch.float32, "f32"),
        (lambda array: torch.tensor(array).to(torch.float16), torch.float16, "f16"),
        (lambda array: torch.tensor(array).to(torch.bfloat16), torch.bfloat16, "bf16"),
        (lambda array: torch.nn.Parameter(torch.tensor(array).to(torch.bfloat16)), torch.bfloat16, "bf16"),
        (lambda array: HostTensor(bits(array), "bf16"), torch.bfloat16, "bf16"),
        (lambda array: HostTensor(bits(array).reshape(-1).view(np.uint8), "bf16", array.shape), torch.bfloat16, "bf16"),
        (lambda array: HostTensor(array.astype(np.float16).view(np.uint16), "f16"), torch.float16, "f16"),
    ],
    ids=["numpy f32", "numpy f16", "torch f32", "torch f16", "torch bf16", "parameter", "uint16", "bytes", "f16 bits"],
)
def test_arrays_of_every_kind(convert: Any, dtype: torch.dtype, kept: str) -> None:
    with Engine.from_weights(MODEL.meta, MODEL.weights(convert), kv="f32", threads=1) as engine:
        assert engine.weights == kept
        assert engine.config is None
        assert relative_error(engine.forward(IDS), narrow(dtype)) <= 1e-5


def test_read_only_arrays() -> None:
    def frozen(array: Any) -> Any:
        copy = array.copy()
        copy.flags.writeable = False
        return copy

    with Engine.from_weights(MODEL.meta, MODEL.weights(frozen), threads=1) as engine:
        assert relative_error(engine.forward(IDS), MODEL.logits(IDS)) <= 1e-5


def test_unaligned_arrays() -> None:
    def shifted(array: Any) -> Any:
        room = np.empty(array.nbytes + 1, np.uint8)
        room[1:] = array.reshape(-1).view(np.uint8)
        return HostTensor(room[1:], "f32", array.shape)

    with Engine.from_weights(MODEL.meta, MODEL.weights(shifted), threads=1) as engine:
        assert relative_error(engine.forward(IDS), MODEL.logits(IDS)) <= 1e-5


def test_mixed_types() -> None:
    """Norms in float32 beside matrices in bfloat16, as some files have them."""
    mixed = MODEL
    for name, array in MODEL.tensors.items():
        if array.ndim == 2:
            mixed = mixed.changed(name, torch.tensor(array).to(torch.bfloat16).to(torch.float32).numpy())

    def convert(array: Any) -> Any:
        return torch.tensor(array).to(torch.bfloat16) if array.ndim == 2 else array

    with Engine.from_weights(MODEL.meta, MODEL.weights(convert), kv="f32", threads=1) as engine:
        assert engine.weights == "bf16"
        assert relative_error(engine.forward(IDS), mixed.logits(IDS)) <= 1e-5


def test_weights_may_go_once_they_are_read() -> None:
    weights = MODEL.weights(np.copy)
    engine = Engine.from_weights(MODEL.meta, weights, threads=1)
    expected = engine.forward(IDS)
    for field in dataclasses.fields(weights):
        value = getattr(weights, field.name)
        for array in value if isinstance(value, (list, tuple)) else [value]:
            array[:] = np.nan
    assert np.array_equal(engine.forward(IDS), expected)
    engine.close()


def test_a_tensor_whose_bytes_do_not_fit() -> None:
    from qwen3_chat.engine import CheckpointError

    weights = dataclasses.replace(MODEL.weights(), output_norm=HostTensor(np.zeros(10, np.uint8), "bf16", [48]))
    with pytest.raises(CheckpointError, match=r"output_norm.*10 bytes.*96"):
        Engine.from_weights(MODEL.meta, weights)
    weights = dataclasses.replace(MODEL.weights(), output_norm=HostTensor(np.zeros(48, np.uint16), "int8"))  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"output_norm.*int8"):
        Engine.from_weights(MODEL.meta, weights)
