"""Whatever is wrong with a quantized checkpoint is refused when it is opened, by file, tensor and what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quantizers
import torch
from checkpoints import make_checkpoint
from quantizers import quantize_checkpoint
from safetensors.torch import load_file, save_file

from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.errors import CheckpointError, ConfigError, Qwen3Error
from qwen3_chat.models.quantization import Quantization
from qwen3_chat.models.tensors import EncodedTensor, RawTensor

SHAPE: dict[str, Any] = {
    "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 96, "vocab": 67, "layers": 2,
}  # fmt: skip
DOWN = "model.layers.1.mlp.down_proj."  # [64, 96]

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], object]

FP8 = quantizers.fp8
AWQ = quantizers.awq
GPTQ = quantizers.gptq


def pack(**options: Any) -> tuple[quantizers.Store, dict[str, Any]]:
    return quantizers.compressed_tensors("pack-quantized", 4, group=32, **options)


def int8(**options: Any) -> tuple[quantizers.Store, dict[str, Any]]:
    return quantizers.compressed_tensors("int-quantized", 8, **options)


def open_changed(folder: Path, method: Any, change: Change) -> str:
    """What opening says of a checkpoint whose tensors were changed."""
    make_checkpoint(folder, **SHAPE)
    quantize_checkpoint(folder, method)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


def drop(last: str) -> Change:
    return lambda tensors: tensors.pop(DOWN + last)


def replace(last: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def edit(tensors: Tensors) -> None:
        tensors[DOWN + last] = change(tensors[DOWN + last])

    return edit


def short(last: str) -> Change:
    return replace(last, lambda tensor: tensor[:-1])


def narrow(last: str) -> Change:
    return replace(last, lambda tensor: tensor[:, :-1])


def typed(last: str, dtype: torch.dtype) -> Change:
    return replace(last, lambda tensor: tensor.to(dtype))


CORRUPT: dict[str, tuple[Callable[[], Any], Change, tuple[str, ...]]] = {
    "fp8 without scales": (FP8, drop("weight_scale_inv"), ("weight_scale_inv", "is missing")),
    "fp8, scales of another shape": (FP8, replace("weight_scale_inv", lambda s: s.repeat(2, 1)), ("[2, 1]", "[1, 1]")),
    "fp8, integer scales": (FP8, typed("weight_scale_inv", torch.int32), ("I32", "F32 or F16 or BF16")),
    "fp8, a row too few": (FP8, short("weight"), ("[63, 96]", "[64, 96]")),
    "fp8, an unknown array": (FP8, lambda t: t.update({DOWN + "weight_scale": torch.ones(1)}), ("no part of",)),
    "awq without values": (AWQ, drop("qweight"), ("down_proj.qweight", "missing")),
    "awq without zeros": (AWQ, drop("qzeros"), ("qzeros", "is missing")),
    "awq without scales": (AWQ, drop("scales"), ("scales", "is missing")),
    "awq, a row of words too few": (AWQ, short("qweight"), ("[95, 8]", "[96, 8]")),
    "awq, a column of words too few": (AWQ, narrow("qweight"), ("[96, 7]", "[96, 8]")),
    "awq, a group too few": (AWQ, short("scales"), ("scales", "2 groups of 96", "group_size 32")),
    "awq, zeros of a group too few": (AWQ, short("qzeros"), ("qzeros", "[2, 8]", "[3, 8]")),
    "awq, float values": (AWQ, typed("qweight", torch.float32), ("dtype F32", "I32")),
    "awq, flat scales": (AWQ, replace("scales", torch.flatten), ("scales", "two axes")),
    "gptq without values": (GPTQ, drop("qweight"), ("down_proj.qweight", "missing")),
    "gptq without zeros": (GPTQ, drop("qzeros"), ("qzeros", "is missing")),
    "gptq, a word too few": (GPTQ, short("qweight"), ("[11, 64]", "[12, 64]")),
    "gptq, zeros of float type": (GPTQ, typed("qzeros", torch.float16), ("dtype F16", "I32")),
    "gptq, a group that is not there": (
        lambda: GPTQ(act_order=True),
        replace("g_idx", lambda index: index + 1),
        ("g_idx", "group 3", "there are 3"),
    ),
    "gptq, a negative group": (
        lambda: GPTQ(act_order=True),
        replace("g_idx", lambda index: index - 1),
        ("g_idx", "group -1"),
    ),
    "gptq, group indices too few": (GPTQ, short("g_idx"), ("g_idx", "[95]", "[96]")),
    "gptq, a bias": (
        lambda: GPTQ(biases=True),
        replace("bias", lambda bias: bias + 1),
        ("bias", "is not 0"),
    ),
    "pack-quantized without scales": (pack, drop("weight_scale"), ("weight_scale", "is missing")),
    "pack-quantized, a word too few": (pack, narrow("weight_packed"), ("[64, 11]", "4 or 8 bits")),
    "pack-quantized, a row too few": (pack, short("weight_packed"), ("[63, 12]", "[64, 12]")),
    "pack-quantized, scales of a row too few": (pack, short("weight_scale"), ("[63, 3]", "[64, 3]")),
    "pack-quantized, of another shape": (
        pack,
        replace("weight_shape", lambda shape: shape + 1),
        ("weight_shape", "[65, 97]", "[64, 96]"),
    ),
    "pack-quantized, zeros of a group too few": (
        lambda: pack(symmetric=False),
        narrow("weight_zero_point"),
        ("weight_zero_point", "[8, 2]", "[8, 3]"),
    ),
    "int-quantized without scales": (int8, drop("weight_scale"), ("weight_scale", "is missing")),
    "int-quantized, a row too few": (int8, short("weight"), ("[63, 96]", "[64, 96]")),
    "int-quantized, one scale": (int8, replace("weight_scale", lambda s: s[:1, 0]), ("one scale for a whole",)),
    "int-quantized, too many groups": (
        int8,
        replace("weight_scale", lambda scale: scale.repeat(1, 97)),
        ("[64, 97]", "groups of the 96"),
    ),
}


@pytest.mark.parametrize(("method", "change", "words"), CORRUPT.values(), ids=CORRUPT)
def test_corrupt_arrays(tmp_path: Path, method: Callable[[], Any], change: Change, words: tuple[str, ...]) -> None:
    message = open_changed(tmp_path, method(), change)
    for word in ("down_proj", *words):
        assert word in message


@pytest.mark.parametrize("method", [FP8, AWQ, GPTQ, pack, int8])
def test_truncated_file(tmp_path: Path, method: Callable[[], Any]) -> None:
    make_checkpoint(tmp_path, **SHAPE)
    quantize_checkpoint(tmp_path, method())
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated: tensor '"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, "quant_method null"),
        ("awq", 'is "awq", expected an object'),
        ({"quant_method": "bitsandbytes"}, 'quant_method "bitsandbytes".*fp8, awq, gptq, compressed-tensors'),
        ({"quant_method": "fp8"}, r"weight_block_size is null.*\[128, 128\]"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size"),
        ({"quant_method": "fp8", "weight_block_size": [128, 0]}, "weight_block_size"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e5m2"}, "fmt.*e5m2.*e4m3"),
        ({"quant_method": "awq"}, "bits is null, expected 4"),
        ({"quant_method": "awq", "bits": 3}, "bits is 3"),
        ({"quant_method": "awq", "bits": True}, "bits is true"),
        ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "version.*gemv"),
        ({"quant_method": "awq", "bits": 4, "group_size": 0}, "group_size is 0"),
        ({"quant_method": "gptq", "bits": 2}, "bits is 2, expected 4 or 8"),
        ({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}, "checkpoint_format.*marlin"),
        ({"quant_method": "gptq", "bits": 4, "group_size": "128"}, "group_size"),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "format.*nvfp4"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "config_groups is null"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 3, "type": "int"}}},
            },
            'config_groups.group_0.weights has type "int" of 3 bits',
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
                "sparsity_config": {"format": "sparse-24-bitmask"},
            },
            "sparsity_config.format",
        ),
    ],
    ids=str,
)
def test_configs(tmp_path: Path, config: object, named: str) -> None:
    make_checkpoint(tmp_path, **SHAPE, config_overrides={"quantization_config": config})
    with pytest.raises(ConfigError, match=rf"config\.json: quantization_config.*{named}"):
        Checkpoint.open(tmp_path)


def test_a_group_size_that_the_arrays_do_not_have(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, **SHAPE)
    store, config = GPTQ(group=32)
    quantize_checkpoint(tmp_path, (store, {**config, "group_size": 16}))
    with pytest.raises(CheckpointError, match=r"q_proj\.scales': 2 groups of 64 inputs, but group_size 16"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("method", [FP8, AWQ, GPTQ, pack, int8])
def test_what_is_read(tmp_path: Path, method: Callable[[], Any]) -> None:
    """Projections come encoded, in views of the mapped file; the rest as floats; sizes are told before loading."""
    make_checkpoint(tmp_path, **SHAPE, dtype="bfloat16")
    quantize_checkpoint(tmp_path, method())
    with Checkpoint.open(tmp_path) as checkpoint:
        tensors = {(slot, layer): tensor for slot, layer, tensor in checkpoint.weights()}
        for (slot, _), tensor in tensors.items():
            assert isinstance(tensor, EncodedTensor if slot.endswith("_proj") else RawTensor)
            if isinstance(tensor, EncodedTensor):
                assert all(part.mapped and not part.data.flags.writeable for part in tensor.parts.values())
        assert checkpoint.config.dtype == "bfloat16"
        assert checkpoint.counts.quantized
        with pytest.raises(CheckpointError, match="no float tensor"):
            checkpoint.tensor(DOWN + "weight")
        assert checkpoint.nbytes <= checkpoint.file_bytes
        del tensors, tensor


def test_layers_that_were_left_in_floats(tmp_path: Path) -> None:
    """modules_to_not_convert, ignore: the arrays themselves say it."""
    make_checkpoint(tmp_path, **SHAPE)
    quantize_checkpoint(tmp_path, AWQ(), only=lambda name: "down_proj" not in name)
    with Checkpoint.open(tmp_path) as checkpoint:
        kinds = {(slot, type(tensor)) for slot, _, tensor in checkpoint.weights() if slot.startswith("mlp")}
    assert kinds == {
        ("mlp_gate_proj", EncodedTensor),
        ("mlp_up_proj", EncodedTensor),
        ("mlp_down_proj", RawTensor),
    }


def test_the_bytes_of_a_config_that_is_not_quantized(tmp_path: Path) -> None:
    """Quantized arrays without a quantization_config are not guessed at."""
    make_checkpoint(tmp_path, **SHAPE)
    quantize_checkpoint(tmp_path, FP8())
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantization_config": None}))
    with pytest.raises(Qwen3Error, match="weight_scale_inv"):
        Checkpoint.open(tmp_path)


def test_quantization_fields() -> None:
    fp8 = Quantization.from_config({"quant_method": "fp8", "weight_block_size": [128, 64]})
    assert (fp8.method, fp8.block) == ("fp8", (128, 64))
    gptq = Quantization.from_config({"quant_method": "gptq", "bits": 8, "group_size": -1})
    assert (gptq.bits, gptq.group, gptq.zeros_lack) == (8, -1, 1)
    second = Quantization.from_config({"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2"})
    assert (second.bits, second.group, second.zeros_lack) == (4, None, 0)


@pytest.fixture(autouse=True)
def nothing_stays_mapped(tmp_path: Path) -> Iterator[None]:
    import gc

    yield
    gc.collect()  # tracebacks hold views
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
