"""Quantized checkpoints in the published formats, and the weights that they mean.

compressed-tensors files are made by that library. FP8, AWQ and GPTQ have no writer that runs without a GPU: theirs is
here, after the formats' descriptions, and shares nothing with the reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float32]]

# A layer's weight [out, in] -> the arrays that replace it, by their last names, and the weight that these mean.
Store = Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]


def quantize_checkpoint(
    folder: Path, method: tuple[Store, Mapping[str, Any]], *, only: Callable[[str], bool] = lambda name: True
) -> dict[str, Array]:
    """Replace the projections of a folder with one safetensors file; return what all its weights mean now, float32."""
    store, config = method
    meaning: dict[str, Array] = {}
    stored: dict[str, Tensor] = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "_proj" not in name or not only(name):
            stored[name] = tensor
            meaning[name] = tensor.float().numpy()
            continue
        arrays, weight = store(tensor.float())
        stored |= {name.removesuffix("weight") + last: array.contiguous() for last, array in arrays.items()}
        meaning[name] = weight.numpy()
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantization_config": dict(config)}))
    return meaning


# ---- fp8 ------------------------------------------------------------------------------------------------------------


def fp8(block: tuple[int, int] = (128, 128), scales: torch.dtype = torch.float32) -> tuple[Store, dict[str, Any]]:
    """Blocks whose largest weight becomes 448, as DeepSeek-V3 and Qwen3-FP8 have them."""

    def store(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        rows, columns = weight.shape
        over_rows = torch.arange(rows) // block[0]
        over_columns = torch.arange(columns) // block[1]
        scale = torch.zeros(int(over_rows[-1]) + 1, int(over_columns[-1]) + 1)
        for i in range(scale.shape[0]):
            for j in range(scale.shape[1]):
                scale[i, j] = weight[over_rows == i][:, over_columns == j].abs().max() / 448
        scale = scale.to(scales)
        each = scale.float()[over_rows][:, over_columns]
        values = (weight / each).to(torch.float8_e4m3fn)
        return {"weight": values, "weight_scale_inv": scale}, values.float() * each

    return store, {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "weight_block_size": list(block),
    }


# ---- integers with zero points --------------------------------------------------------------------------------------


def _round(
    weight: Tensor, group: Tensor, bits: int, symmetric: bool, coarse: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Unsigned values [out, in], float16 scales and zero points [groups, out] for the groups of columns [in].

    Coarse scales have no more digits than a bfloat16.
    """
    top = 2**bits - 1
    scales, zeros = [], []
    for number in range(int(group.max()) + 1):
        part = weight[:, group == number]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if symmetric:
            scale = torch.maximum(-low, high) * 2 / top
            scale = scale.bfloat16().half() if coarse else scale.half()
            zero = torch.full_like(scale, 2 ** (bits - 1)).int()
        else:
            scale = ((high - low) / top).half()
            zero = (-low / scale.float()).round().clamp(1, top).int()
        scales.append(scale)
        zeros.append(zero)
    scale, zero = torch.stack(scales), torch.stack(zeros)
    values = (weight / scale.float()[group].T).round().int() + zero[group].T
    return values.clamp(0, top), scale, zero


def _pack(values: Tensor, bits: int, order: tuple[int, ...] | None = None) -> Tensor:
    """[rows, n] small numbers -> int32 [rows, n * bits / 32]: value `order[i]` of each word in its i-th bits."""
    count = 32 // bits
    words = values.reshape(values.shape[0], -1, count).numpy().astype(np.uint64)
    packed = np.zeros(words.shape[:2], np.uint64)
    for place, source in enumerate(order or range(count)):
        packed |= words[:, :, source] << np.uint64(place * bits)
    return torch.from_numpy(packed.astype(np.uint32).view(np.int32))


def gptq(
    bits: int = 4,
    group: int = 32,
    *,
    symmetric: bool = True,
    act_order: bool = False,
    version: int = 1,
    label: str | None = "gptq",
    biases: bool = False,
    coarse: bool = False,
) -> tuple[Store, dict[str, Any]]:
    """Words of successive inputs; version 1 stores zero points less 1. `label` is what the config calls the format."""

    def store(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        rows, columns = weight.shape
        rank = (
            torch.randperm(columns, generator=torch.Generator().manual_seed(1)) if act_order else torch.arange(columns)
        )
        index = rank // (columns if group == -1 else group)
        values, scale, zero = _round(weight, index, bits, symmetric, coarse)
        arrays = {
            "qweight": _pack(
                values.T.reshape(-1, 32 // bits, rows).transpose(1, 2).reshape(-1, 32 // bits), bits
            ).reshape(-1, rows),
            "qzeros": _pack(zero - int(version == 1), bits),
            "scales": scale,
            "g_idx": index.int(),
        }
        if biases:
            arrays["bias"] = torch.zeros(rows, dtype=torch.float16)
        return arrays, (values - zero[index].T) * scale.float()[index].T

    config = {
        "quant_method": "gptq",
        "bits": bits,
        "group_size": group,
        "desc_act": act_order,
        "sym": symmetric,
        **({} if label is None else {"checkpoint_format": label}),
    }
    return store, config


def awq(group: int = 32) -> tuple[Store, dict[str, Any]]:
    """Words of eight outputs, in AWQ's own order."""
    order = (0, 2, 4, 6, 1, 3, 5, 7)

    def store(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        index = torch.arange(weight.shape[1]) // group
        values, scale, zero = _round(weight, index, 4, symmetric=False)
        arrays = {"qweight": _pack(values.T.contiguous(), 4, order), "qzeros": _pack(zero, 4, order), "scales": scale}
        return arrays, (values - zero[index].T) * scale.float()[index].T

    return store, {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}


# ---- compressed-tensors ---------------------------------------------------------------------------------------------


def compressed_tensors(
    format: str,
    bits: int,
    *,
    group: int | None = None,
    symmetric: bool = True,
    kind: str = "int",
    scales: torch.dtype = torch.float32,
) -> tuple[Store, dict[str, Any]]:
    """By the library: "pack-quantized", "int-quantized" or "float-quantized", a scale a row or a group of inputs."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams

    strategy = "channel" if group is None else "group"
    args = QuantizationArgs(num_bits=bits, type=kind, strategy=strategy, group_size=group, symmetric=symmetric)
    scheme = QuantizationScheme(targets=["Linear"], weights=args, format=format)
    compressor = BaseCompressor.get_value_from_registry(format)

    def store(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        grouped = weight.unflatten(1, (-1, group or weight.shape[1]))
        scale, zero = calculate_qparams(grouped.amin(2), grouped.amax(2), args)
        state = {"weight": weight, "weight_scale": scale.to(scales).float(), "weight_zero_point": zero}
        arrays = compressor.compress(state, scheme)
        meaning = compressor.decompress(arrays, scheme)["weight"]
        arrays["weight_scale"] = arrays["weight_scale"].to(scales)
        return arrays, meaning.float()

    weights = {"num_bits": bits, "type": kind, "strategy": strategy, "group_size": group, "symmetric": symmetric}
    return store, {
        "quant_method": "compressed-tensors",
        "format": format,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}},
        "ignore": ["lm_head"],
    }
