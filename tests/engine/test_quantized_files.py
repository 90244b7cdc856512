"""Checkpoints that are quantized already: what they mean exactly, what is kept of them, and what it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantizers
import torch
from checkpoints import make_checkpoint
from dummy_models import append, random_ids, relative_error, rms_error
from quantizers import quantize_checkpoint
from rounded import RoundedReference
from trained import copy_of_the_demo, cost

from qwen3_chat.engine import CheckpointError, Engine, QuantizedTensor, Qwen3Meta, Qwen3Weights
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.reference import Reference
from qwen3_chat.models.tensors import RawTensor

Method = Callable[[], tuple[quantizers.Store, dict[str, Any]]]

SHAPE = {"hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 192, "vocab": 160, "layers": 2}

METHODS: dict[str, tuple[Method, str]] = {  # and what weights = auto makes of it
    "fp8, 128 x 128": (quantizers.fp8, "int8"),
    "fp8, whole blocks of 64 x 32": (lambda: quantizers.fp8((64, 32)), "int8"),
    "fp8, bf16 scales of 48 x 40": (lambda: quantizers.fp8((48, 40), torch.bfloat16), "int8"),
    "awq": (quantizers.awq, "int4"),
    "awq, groups of 64": (lambda: quantizers.awq(64), "int4"),
    "gptq, 4 bits": (quantizers.gptq, "int4"),
    "gptq, 4 bits, v2": (lambda: quantizers.gptq(version=2, label="gptq_v2"), "int4"),
    "gptq, 4 bits, v2 mislabelled v1": (lambda: quantizers.gptq(version=2), "int4"),
    "gptq, 4 bits, v1 mislabelled v2": (lambda: quantizers.gptq(version=1, label="gptq_v2"), "int4"),
    "gptq, 4 bits, asymmetric": (lambda: quantizers.gptq(symmetric=False), "int4"),
    "gptq, 4 bits, asymmetric, v2": (
        lambda: quantizers.gptq(symmetric=False, version=2, label="gptq_v2"),
        "int4",
    ),
    "gptq, 4 bits, act-order": (lambda: quantizers.gptq(act_order=True, group=64), "int4"),
    "gptq, 4 bits, a scale a row": (lambda: quantizers.gptq(group=-1, label=None), "int4"),
    "gptq, 8 bits": (lambda: quantizers.gptq(8, 64), "int8"),
    "gptq, 8 bits, v2, zero biases": (
        lambda: quantizers.gptq(8, 32, version=2, label="gptq_v2", biases=True),
        "int8",
    ),
    "gptq, 8 bits, asymmetric, act-order": (lambda: quantizers.gptq(8, 32, symmetric=False, act_order=True), "int8"),
    "pack-quantized, 4 bits": (lambda: quantizers.compressed_tensors("pack-quantized", 4, group=32), "int4"),
    "pack-quantized, 4 bits, a scale a row": (lambda: quantizers.compressed_tensors("pack-quantized", 4), "int4"),
    "pack-quantized, 4 bits, asymmetric": (
        lambda: quantizers.compressed_tensors("pack-quantized", 4, group=64, symmetric=False),
        "int4",
    ),
    "pack-quantized, 8 bits, asymmetric": (
        lambda: quantizers.compressed_tensors("pack-quantized", 8, group=32, symmetric=False),
        "int8",
    ),
    "int-quantized": (lambda: quantizers.compressed_tensors("int-quantized", 8), "int8"),
    "int-quantized, groups, asymmetric": (
        lambda: quantizers.compressed_tensors("int-quantized", 8, group=64, symmetric=False),
        "int8",
    ),
    "float-quantized": (lambda: quantizers.compressed_tensors("float-quantized", 8, kind="float"), "int8"),
}

FORMATS = {name: method for name, (method, _) in METHODS.items()}


def written(folder: Path, method: Method, **shape: Any) -> tuple[Path, Reference]:
    """A checkpoint in this format, and the reference on the weights that it means."""
    make_checkpoint(folder, **{**SHAPE, "tied": False, **shape})
    meaning = quantize_checkpoint(folder, method())
    with Checkpoint.open(folder) as checkpoint:
        config = checkpoint.config
    return folder, Reference(config, {name: torch.from_numpy(array) for name, array in meaning.items()})


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1,cpu:2"])
@pytest.mark.parametrize("method", FORMATS.values(), ids=FORMATS)
def test_what_the_file_means(tmp_path: Path, method: Method, devices: str) -> None:
    """Kept in floats, logits are those of the weights that the file stands for, to float32 rounding."""
    folder, reference = written(tmp_path, method)
    ids = random_ids(40, SHAPE["vocab"])
    expected = reference.forward(ids.tolist()).numpy()
    with Engine.load(folder, devices, weights="f32", kv="f32", threads=3) as engine:
        assert relative_error(engine.forward(ids), expected) <= 2e-5


WITHOUT_A_GPU = [name for name in FORMATS if name.startswith(("fp8, whole", "pack", "int", "float"))]


@pytest.mark.parametrize("name", WITHOUT_A_GPU)
@pytest.mark.filterwarnings("ignore:You passed `quantization_config`")
def test_transformers_agrees(tmp_path: Path, name: str) -> None:
    """Its own readers, where they run without a GPU, and its own model."""
    from transformers import AutoModelForCausalLM, CompressedTensorsConfig, FineGrainedFP8Config

    folder, _ = written(tmp_path, FORMATS[name])
    how = FineGrainedFP8Config(dequantize=True) if "fp8" in name else CompressedTensorsConfig(run_compressed=False)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=how)
    ids = random_ids(40, SHAPE["vocab"])
    with torch.no_grad():
        expected = model(torch.from_numpy(ids).long()[None]).logits[0].numpy()
    with Engine.load(folder, weights="f32", kv="f32") as engine:
        assert relative_error(engine.forward(ids), expected) <= 2e-5


@pytest.mark.parametrize(("method", "kept"), METHODS.values(), ids=METHODS)
def test_automatic_weights(tmp_path: Path, method: Method, kept: str) -> None:
    """The integers that come closest, whose result does not depend on threads or chunks, near what the file means."""
    folder, reference = written(tmp_path, method)
    ids = random_ids(90, SHAPE["vocab"])
    with Engine.load(folder, kv="f32", threads=1) as engine:
        assert engine.weights == kept
        logits = engine.forward(ids)
        assert np.array_equal(append(engine, engine.new_cache(), ids, [64, 1, 1, 20, 4]), logits)
    with Engine.load(folder, kv="f32", threads=3) as engine:
        assert np.array_equal(engine.forward(ids), logits)
    exact = reference.forward(ids.tolist()).numpy()
    rounded = RoundedReference(reference.config, reference.weights, kept).forward(ids.tolist()).numpy()
    assert rms_error(logits, exact) <= 1.2 * rms_error(rounded, exact)  # never worse than rounding floats


EXACT: dict[str, Method] = {  # whole numbers that fit the engine's own, with scales of no more digits than its own have
    "gptq, 4 bits": lambda: quantizers.gptq(coarse=True),
    "gptq, 4 bits, v2, a scale a row": lambda: quantizers.gptq(group=-1, version=2, coarse=True),
    "gptq, 8 bits": lambda: quantizers.gptq(8, 64, coarse=True),
    "pack-quantized, 4 bits": lambda: quantizers.compressed_tensors(
        "pack-quantized", 4, group=32, scales=torch.bfloat16
    ),
    "pack-quantized, 8 bits, a scale a row": lambda: quantizers.compressed_tensors(
        "pack-quantized", 8, scales=torch.bfloat16
    ),
    "int-quantized": lambda: quantizers.compressed_tensors("int-quantized", 8, scales=torch.bfloat16),
}


class KeptReference(RoundedReference):
    """Activations rounded, the vocabulary rounded to int8, projections as they are."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference.config, reference.weights, "int8")
        self.weights |= {name: weight for name, weight in reference.weights.items() if "_proj" in name}


@pytest.mark.parametrize("method", EXACT.values(), ids=EXACT)
def test_integers_that_fit_are_kept(tmp_path: Path, method: Method) -> None:
    """One token through one layer: float32 rounding alone remains, so nothing was rounded anew."""
    folder, reference = written(tmp_path, method, layers=1)
    keeping = KeptReference(reference)
    errors = []
    with Engine.load(folder, kv="f32", threads=1) as engine:
        for token in random_ids(60, SHAPE["vocab"]):
            one = [int(token)]
            errors.append(rms_error(engine.forward(one), keeping.forward(one).numpy()))
    assert np.median(errors) <= 1e-5


@pytest.mark.parametrize("weights", ["bf16", "int8", "int4"])
@pytest.mark.parametrize("name", ["fp8, 128 x 128", "awq", "gptq, 8 bits", "int-quantized"])
def test_other_types_when_asked(tmp_path: Path, name: str, weights: Any) -> None:
    folder, reference = written(tmp_path, FORMATS[name])
    ids = random_ids(60, SHAPE["vocab"])
    exact = reference.forward(ids.tolist()).numpy()
    with Engine.load(folder, weights=weights, kv="f32", threads=2) as engine:
        assert engine.weights == weights
        error = rms_error(engine.forward(ids), exact)
    assert error <= {"bf16": 0.02, "int8": 0.05, "int4": 0.5}[weights]


def in_memory(folder: Path) -> tuple[Qwen3Meta, dict[str, Any]]:
    """The slots of a checkpoint as arrays of one's own."""
    slots: dict[str, Any] = {}
    with Checkpoint.open(folder) as checkpoint:
        meta = Qwen3Meta.from_config(checkpoint.config)
        for slot, layer, tensor in checkpoint.weights():
            value: Any
            if isinstance(tensor, RawTensor):
                value = tensor.float32()
            else:
                value = QuantizedTensor.of(tensor)
                parts = {role: (array.copy(), dtype, shape) for role, (array, dtype, shape) in value.parts.items()}
                value = dataclasses.replace(value, parts=parts)
            if layer < 0:
                slots[slot] = value
            else:
                slots.setdefault(slot, []).append(value)
    return meta, slots


@pytest.mark.parametrize("name", ["fp8, 128 x 128", "awq", "gptq, 4 bits, act-order", "pack-quantized, 4 bits"])
def test_weights_in_memory(tmp_path: Path, name: str) -> None:
    """The same arrays, not from a file: the same bits."""
    folder, _ = written(tmp_path, FORMATS[name])
    ids = random_ids(40, SHAPE["vocab"])
    with Engine.load(folder, kv="f32") as engine:
        expected = engine.forward(ids)
    meta, slots = in_memory(folder)
    with Engine.from_weights(meta, Qwen3Weights(**slots), kv="f32") as engine:
        assert np.array_equal(engine.forward(ids), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "q3_k"}, "encoding q3_k is not known"),
        ({"bits": 5}, "5 bits"),
        ({"shape": (192, 127)}, r"shape \[192, 127\]; expected \[192, 128\]"),
        ({"block_columns": 16}, r"gptq scales have shape \[4, 192\]; expected \[8, 192\]"),
        ({"block_columns": 0}, "less than one"),
        ({"block_rows": 2}, "only fp8"),
        ({"parts": {}}, "values are missing"),
        ({"parts": {"weights": (np.zeros(1, np.uint8), "u8", (1,))}}, "weights: is no part"),
        ({"parts": {"values": (np.zeros(1, np.uint8), "i64", (1,))}}, "element type i64"),
        ({"parts": {"values": (np.zeros(3, np.uint8), "i32", (1,))}}, "3 bytes do not hold .* 4"),
        ({"parts": {"values": (np.zeros((4, 4), np.uint8)[:, ::2], "u8", (4, 2))}}, "not contiguous"),
        ({"parts": {"values": ([1, 2], "u8", (2,))}}, "got list"),
    ],
    ids=str,
)
def test_arrays_in_memory_that_are_no_matrix(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folder, _ = written(tmp_path, quantizers.gptq)
    meta, slots = in_memory(folder)
    slots["mlp_up_proj"][1] = dataclasses.replace(slots["mlp_up_proj"][1], **change)
    with pytest.raises(CheckpointError, match=rf"mlp_up_proj\[1\].*{words}"):
        Engine.from_weights(meta, Qwen3Weights(**slots))


def test_a_norm_cannot_be_quantized(tmp_path: Path) -> None:
    folder, _ = written(tmp_path, quantizers.gptq)
    meta, slots = in_memory(folder)
    part = (np.zeros(128, np.uint8), "i8", (128,))
    slots["output_norm"] = QuantizedTensor("int8", (128,), {"values": part})
    with pytest.raises(CheckpointError, match="output_norm: is no matrix"):
        Engine.from_weights(meta, Qwen3Weights(**slots))


COSTS: dict[str, tuple[Method, str, float]] = {  # in nats, to the weights that the file means
    "fp8 in int8": (quantizers.fp8, "auto", 1e-3),
    "fp8 in bf16": (quantizers.fp8, "bf16", 1e-4),
    "awq in int4": (lambda: quantizers.awq(64), "auto", 5e-2),
    "awq in int8": (lambda: quantizers.awq(64), "int8", 1e-3),
    "gptq, symmetric 4 bits, in int4": (lambda: quantizers.gptq(group=64), "auto", 1e-3),
    "gptq, asymmetric 4 bits, in int4": (lambda: quantizers.gptq(group=64, symmetric=False), "auto", 5e-2),
    "gptq, 8 bits, in int8": (lambda: quantizers.gptq(8, 64), "auto", 1e-3),
    "pack-quantized, 4 bits, in int4": (
        lambda: quantizers.compressed_tensors("pack-quantized", 4, group=64, scales=torch.bfloat16),
        "auto",
        1e-3,
    ),
    "int-quantized in int8": (
        lambda: quantizers.compressed_tensors("int-quantized", 8, scales=torch.bfloat16),
        "auto",
        1e-3,
    ),
}


@pytest.mark.parametrize(("method", "weights", "bound"), COSTS.values(), ids=COSTS)
def test_what_it_costs_a_trained_model(
    tmp_path: Path, method: Method, weights: Any, bound: float, record_property: Callable[[str, object], None]
) -> None:
    """On conversations that it has not seen, to the same file kept in float32."""
    folder = copy_of_the_demo(tmp_path)
    quantize_checkpoint(folder, method())
    nats = cost(folder, weights)
    record_property("nats", nats)
    assert nats <= bound
