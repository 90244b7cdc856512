"""config.json's quantization_config: which method stored the matrices, and what it says of them.

Shapes of the stored arrays say the rest; where both speak they must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen3_chat.models.errors import ConfigError
from qwen3_chat.models.files import describe

METHODS = ("fp8", "awq", "gptq", "compressed-tensors")
PACKED_FORMATS = ("pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "mixed-precision")


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a checkpoint's matrices are stored.

    Attributes:
        method: one of `METHODS`.
        bits: of a value; None where each matrix says it by its shape.
        group: inputs that share a scale; None where each matrix says it by its shape, -1 for a whole row.
        block: fp8: rows and columns that share a scale.
        zeros_lack: gptq: what stored zero points lack by the file's own word, for when they do not tell themselves.
    """

    method: str
    bits: int | None = None
    group: int | None = None
    block: tuple[int, int] | None = None
    zeros_lack: int = 0

    @classmethod
    def from_config(cls, data: object) -> Quantization:
        """Check a quantization_config.

        Raises:
            ConfigError: it is malformed, or asks for what is not supported; the field is named.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"quantization_config is {describe(data)}, expected an object")
        method = data.get("quant_method")
        try:
            match method:
                case "fp8":
                    return _fp8(data)
                case "awq":
                    return _awq(data)
                case "gptq":
                    return _gptq(data)
                case "compressed-tensors":
                    return _compressed_tensors(data)
        except ConfigError as error:
            raise ConfigError(f"quantization_config (quant_method {describe(method)}): {error}") from None
        raise ConfigError(
            f"quantization_config (quant_method {describe(method)}) is not supported; {', '.join(METHODS)} are, and "
            "checkpoints in bfloat16, float16 or float32"
        )


def _fp8(data: Mapping[str, Any]) -> Quantization:
    _expect(data, "fmt", (None, "e4m3"))
    block = data.get("weight_block_size")
    if not isinstance(block, list) or len(block) != 2 or not all(_is_positive(size) for size in block):
        raise ConfigError(f"weight_block_size is {describe(block)}, expected two sizes, as [128, 128]")
    return Quantization("fp8", bits=8, block=(block[0], block[1]))


def _awq(data: Mapping[str, Any]) -> Quantization:
    _expect(data, "bits", (4,))
    _expect(data, "version", (None, "gemm", "GEMM"))
    _expect(data, "zero_point", (None, True))
    return Quantization("awq", bits=4, group=_group(data))


def _gptq(data: Mapping[str, Any]) -> Quantization:
    _expect(data, "bits", (4, 8))
    _expect(data, "checkpoint_format", (None, "gptq", "gptq_v2"))
    lack = 0 if data.get("checkpoint_format") == "gptq_v2" else 1
    return Quantization("gptq", bits=data["bits"], group=_group(data), zeros_lack=lack)


def _compressed_tensors(data: Mapping[str, Any]) -> Quantization:
    _expect(data, "format", PACKED_FORMATS)
    groups = data.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        raise ConfigError(f"config_groups is {describe(groups)}, expected an object of schemes")
    for name, scheme in groups.items():
        weights = scheme.get("weights") if isinstance(scheme, Mapping) else None
        if not isinstance(weights, Mapping):
            raise ConfigError(f"config_groups.{name}.weights is {describe(weights)}, expected an object")
        bits, kind = weights.get("num_bits"), weights.get("type", "int")
        if (kind, bits) not in (("int", 4), ("int", 8), ("float", 8)):
            raise ConfigError(
                f"config_groups.{name}.weights has type {describe(kind)} of {describe(bits)} bits; int of 4 or 8 and "
                "float of 8 are supported"
            )
    sparsity = data.get("sparsity_config")
    if isinstance(sparsity, Mapping) and sparsity.get("format") not in (None, "dense"):
        raise ConfigError(f"sparsity_config.format is {describe(sparsity['format'])}, only dense is supported")
    return Quantization("compressed-tensors")


def _group(data: Mapping[str, Any]) -> int | None:
    group = data.get("group_size")
    if group is None:
        return None
    if group != -1 and not _is_positive(group):
        raise ConfigError(f"group_size is {describe(group)}, expected a whole number above 0, or -1 for a whole row")
    return int(group)


def _expect(data: Mapping[str, Any], name: str, values: tuple[object, ...]) -> None:
    value = data.get(name)
    if not any(type(value) is type(known) and value == known for known in values):
        words = [describe(known) for known in values if known is not None]
        raise ConfigError(f"{name} is {describe(value)}, expected {' or '.join(words)}")


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
