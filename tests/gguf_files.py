"""Qwen3 models as GGUF files: the container, Q8_0 and Q4_0 written by the gguf package, K-quants by the code here.

The package reads K-quants but does not write them. What a file means is always the package's word (`dequantize`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file

Array = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
}
EXPERT_NAMES = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}
GLOBAL_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name: str) -> str:
    """The name of a published tensor in a GGUF file."""
    module = name.removesuffix(".weight")
    if module in GLOBAL_NAMES:
        return GLOBAL_NAMES[module] + ".weight"
    layer, part = module.removeprefix("model.layers.").split(".", 1)
    if part.startswith("mlp.experts."):
        return f"blk.{layer}.{EXPERT_NAMES[part.rpartition('.')[2]]}.weight"
    return f"blk.{layer}.{LAYER_NAMES[part]}.weight"


def write_gguf(
    path: Path,
    folder: Path,
    kind: Callable[[str, Array], Type],
    *,
    splits: int = 1,
    metadata: Mapping[str, Any] | None = None,
    rename: Mapping[str, str] | None = None,
    coarse: bool = False,
) -> dict[str, Array]:
    """Write a checkpoint folder as GGUF; return what its tensors mean now, under their published names.

    Args:
        kind: the type of a matrix, of its published name and values; vectors are F32.
        splits: files; more than one are named path-00001-of-0000N.gguf.
        metadata: keys that replace those of the model; None removes one.
        rename: GGUF names that replace others; "" leaves a tensor out.
        coarse: scales of Q8_0 and Q4_0 have no more digits than a bfloat16.
    """
    tensors = {name: tensor.float().numpy() for name, tensor in load_file(folder / "model.safetensors").items()}
    keys = {**model_metadata(folder), **(metadata or {})}
    arch = "qwen3moe" if "qwen3moe.block_count" in keys else "qwen3"
    writer = gguf.GGUFWriter(None, arch, split_max_tensors=-(-len(tensors) // splits) if splits > 1 else 0)
    for key, value in keys.items():
        _add(writer, key, value)
    meaning: dict[str, Array] = {}
    experts = len({name.split(".")[5] for name in tensors if ".experts." in name})
    stacks: dict[str, list[Any]] = {}
    for name, tensor in tensors.items():
        router = name.endswith(".mlp.gate.weight")  # whose converter keeps it in floats
        wanted = kind(name, tensor) if tensor.ndim == 2 and not router else Type.F32
        data = quantized(tensor, wanted)
        if coarse and wanted in (Type.Q8_0, Type.Q4_0):
            blocks = data.reshape(-1, gguf.GGML_QUANT_SIZES[wanted][1])
            blocks[:, 0] &= 0xF8  # of the scale's mantissa
        meaning[name] = np.asarray(gguf.dequantize(data, wanted), np.float32).reshape(tensor.shape)
        if ".experts." in name:
            stack = stacks.setdefault(gguf_name(name), [])
            stack.append(data)
            if len(stack) < experts:
                continue
            data = np.stack(stack)
        own = (rename or {}).get(gguf_name(name), gguf_name(name))
        if own:
            writer.add_tensor(own, data, raw_dtype=wanted)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meaning


def model_metadata(folder: Path) -> dict[str, Any]:
    """The keys that a converter makes of config.json and, if there is one, of the tokenizer."""
    config = json.loads((folder / "config.json").read_text())
    shape: dict[str, Any] = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "rope.freq_base": float(config["rope_theta"]),
    }
    experts = config.get("num_experts")
    if experts:
        shape["expert_count"] = experts
        shape["expert_used_count"] = config["num_experts_per_tok"]
        shape["expert_feed_forward_length"] = config["moe_intermediate_size"]
    keys = {f"{'qwen3moe' if experts else 'qwen3'}.{key}": value for key, value in shape.items()}
    file = folder / "tokenizer.json"
    if not file.exists():
        return keys
    tokenizer = json.loads(file.read_text())
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    by_id = {id: token for token, id in tokenizer["model"]["vocab"].items()}
    by_id |= {id: token["content"] for id, token in added.items()}
    size = config["vocab_size"]
    tokens = [by_id.get(id, f"[PAD{id}]") for id in range(size)]
    kinds = [(3 if added[id]["special"] else 4) if id in added else 1 if id in by_id else 5 for id in range(size)]
    template = json.loads((folder / "tokenizer_config.json").read_text()).get("chat_template")
    return keys | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [" ".join(merge) for merge in tokenizer["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
        "tokenizer.ggml.padding_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.ggml.bos_token_id": tokens.index("<|endoftext|>"),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": template,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    match value:
        case None:
            pass
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def quantized(weight: Array, kind: Type) -> Any:
    """The bytes of a tensor in this type, [..., bytes of a row]; floats as numpy has them."""
    match kind:
        case Type.F32:
            return weight
        case Type.F16:
            return weight.astype(np.float16)
        case Type.Q4_K:
            return q4_k(weight)
        case Type.Q5_K:
            return q5_k(weight)
        case Type.Q6_K:
            return q6_k(weight)
    return gguf.quantize(weight, kind)


def _groups_with_minima(weight: Array, levels: int) -> tuple[Bytes, Bytes]:
    """What Q4_K and Q5_K share: the head of each block, [n, 16], and values 0 .. levels, [n, 8, 32]."""
    groups = weight.reshape(-1, 8, 32)
    low, high = np.minimum(groups.min(2), 0), groups.max(2)
    step = np.maximum((high - low) / levels, 1e-4)  # of zeros, too: a scale of 0 cannot be divided by
    d = (step.max(1, keepdims=True) / 63).astype(np.float16)
    dmin = (np.maximum((-low).max(1, keepdims=True), 1e-4) / 63).astype(np.float16)
    scale = np.clip(np.rint(step / d), 1, 63).astype(np.uint8)  # [n, 8]
    minimum = np.clip(np.rint(-low / dmin), 0, 63).astype(np.uint8)
    effective = d.astype(np.float32) * scale
    offset = dmin.astype(np.float32) * minimum
    values = np.clip(np.rint((groups + offset[:, :, None]) / effective[:, :, None]), 0, levels).astype(np.uint8)
    packed = np.zeros((len(groups), 12), np.uint8)
    packed[:, 0:4] = scale[:, :4] | scale[:, 4:] >> 4 << 6
    packed[:, 4:8] = minimum[:, :4] | minimum[:, 4:] >> 4 << 6
    packed[:, 8:12] = scale[:, 4:] & 15 | (minimum[:, 4:] & 15) << 4
    return np.concatenate([d.view(np.uint8), dmin.view(np.uint8), packed], axis=1), values


def _nibbles(values: Bytes) -> Bytes:
    """[n, 8, 32] -> [n, 128]: of every two groups one in the low and one in the high nibbles."""
    low = values & 15
    return (low[:, 0::2] | low[:, 1::2] << 4).reshape(len(values), 128)


def q4_k(weight: Array) -> Bytes:
    """Blocks of 256: eight groups with 6-bit scales and minima, 4-bit values."""
    head, values = _groups_with_minima(weight, 15)
    return np.concatenate([head, _nibbles(values)], axis=1).reshape(len(weight), -1)


def q5_k(weight: Array) -> Bytes:
    """The same with 5-bit values, whose high bits lie apart."""
    head, values = _groups_with_minima(weight, 31)
    fifth = np.zeros((len(values), 32), np.uint8)
    for group in range(8):
        fifth |= (values[:, group] >> 4) << group
    return np.concatenate([head, fifth, _nibbles(values)], axis=1).reshape(len(weight), -1)


def q6_k(weight: Array) -> Bytes:
    """Blocks of 256: sixteen groups with 8-bit scales, 6-bit values around 0."""
    groups = weight.reshape(-1, 16, 16)
    at = np.abs(groups).argmax(2)[:, :, None]
    step = np.take_along_axis(groups, at, 2)[:, :, 0] / -32  # the largest weight becomes -32
    largest = np.abs(step).max(1, keepdims=True)
    d = np.maximum(largest / 127, 1e-7).astype(np.float16)
    scale = np.clip(np.rint(step / d), -128, 127).astype(np.int8)
    effective = d.astype(np.float32) * scale
    inverse = np.divide(1, effective, out=np.zeros_like(effective), where=effective != 0)
    values = (np.clip(np.rint(groups * inverse[:, :, None]), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = (values[:, :, 0:2] & 15) | (values[:, :, 2:4] & 15) << 4  # [n, 2, 2, 32]
    high = sum((values[:, :, quarter] >> 4) << (2 * quarter) for quarter in range(4))  # [n, 2, 32]
    parts = [low.reshape(-1, 128), np.asarray(high, np.uint8).reshape(-1, 64), scale.view(np.uint8), d.view(np.uint8)]
    return np.concatenate(parts, axis=1).reshape(len(weight), -1)
