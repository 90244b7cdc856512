"""Weights in memory, in the slots of the original API. The engine reads them in place while it loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

import numpy as np

from qwen3_chat.engine import _core
from qwen3_chat.engine.errors import CheckpointError

if TYPE_CHECKING:
    from qwen3_chat.models.tensors import EncodedTensor

__all__ = ["HostTensor", "QuantizedTensor", "Qwen3Weights", "WeightDtype", "set_encoded"]

WeightDtype: TypeAlias = Literal["f32", "f16", "bf16"]


class DLPackArray(Protocol):
    """Any array that speaks DLPack: numpy's, torch's and others'."""

    def __dlpack__(self, *args: Any, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class HostTensor:
    """An array whose bytes are to be read as `dtype`, for instance bfloat16 held as numpy's uint16.

    Without a shape it has the array's own, which needs elements of the right size.
    """

    data: DLPackArray
    dtype: WeightDtype
    shape: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class QuantizedTensor:
    """A matrix [out, in] as a quantized checkpoint stores it.

    Attributes:
        encoding: "fp8", "int8", "packed", "gptq", "awq", "q8_0", "q4_0", "q4_k", "q5_k" or "q6_k"; which arrays each
            has, and their shapes, is in engine_cpp/include/qwen3/encoding.hpp.
        parts: "values", "scales", "zeros", "group_index": an array, its element type ("f32", "f16", "bf16", "f8_e4m3",
            "i8", "u8" or "i32") and its shape.
        bits: of a value.
        block_rows: rows that share a scale.
        block_columns: columns that share a scale; None for a whole row.
        zero_offset: what stored zero points lack.
    """

    encoding: str
    shape: Sequence[int]
    parts: Mapping[str, tuple[DLPackArray, str, Sequence[int]]]
    bits: int = 8
    block_rows: int = 1
    block_columns: int | None = None
    zero_offset: int = 0

    @classmethod
    def of(cls, tensor: EncodedTensor) -> Self:
        """A matrix of an open checkpoint, its arrays views of the mapped file."""
        layout = tensor.layout
        return cls(
            encoding=layout.encoding,
            shape=layout.shape,
            parts={role: (part.data, part.dtype.lower(), part.shape) for role, part in tensor.parts.items()},
            bits=layout.bits,
            block_rows=layout.block_rows,
            block_columns=layout.block_columns,
            zero_offset=layout.zero_offset,
        )


Tensor: TypeAlias = DLPackArray | HostTensor | QuantizedTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen3Weights:
    """The slots of a Qwen3 model: numpy or torch arrays (or a HostTensor), row-major and in host memory.

    Projections are [out, in], as in a checkpoint. Element types: float32, float16, bfloat16. Matrices may also be
    QuantizedTensors.
    """

    input_embd: Tensor  # [dvoc, d]
    output_norm: Tensor  # [d]
    output_embd: Tensor | None = None  # [dvoc, d]; None when tied
    # one array a layer
    attn_norm: Sequence[Tensor]  # [d]
    attn_q_norm: Sequence[Tensor]  # [dh]
    attn_k_norm: Sequence[Tensor]  # [dh]
    attn_q_proj: Sequence[Tensor]  # [nh*dh, d]
    attn_k_proj: Sequence[Tensor]  # [nkvh*dh, d]
    attn_v_proj: Sequence[Tensor]  # [nkvh*dh, d]
    attn_o_proj: Sequence[Tensor]  # [d, nh*dh]
    ffn_norm: Sequence[Tensor]  # [d]
    # of a dense layer; None for one with experts
    mlp_gate_proj: Sequence[Tensor | None] = ()  # [di, d]
    mlp_up_proj: Sequence[Tensor | None] = ()  # [di, d]
    mlp_down_proj: Sequence[Tensor | None] = ()  # [d, di]
    # of a layer with experts; None for a dense one
    moe_router: Sequence[Tensor | None] = ()  # [experts, d]
    # one array an expert, layer by layer; none for a dense layer's
    expert_gate_proj: Sequence[Tensor | None] = ()  # [di of an expert, d]
    expert_up_proj: Sequence[Tensor | None] = ()  # [di of an expert, d]
    expert_down_proj: Sequence[Tensor | None] = ()  # [d, di of an expert]

    def native(self, nlayer: int, experts: int = 0) -> _core.Weights:
        """Views for the compiled engine, which keep the arrays alive. Raises CheckpointError naming the slot."""
        weights = _core.Weights(nlayer, experts)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _GLOBAL_SLOTS:
                if value is not None:
                    _set(weights, field.name, -1, value)
                continue
            arrays = [] if value is None else list(value)
            if len(arrays) > nlayer * (experts if field.name in _EXPERT_SLOTS else 1):
                of_experts = f" of {experts} experts" if field.name in _EXPERT_SLOTS else ""
                raise CheckpointError(
                    f"{field.name} has {len(arrays)} arrays: the model has {nlayer} layers{of_experts}"
                )
            for index, tensor in enumerate(arrays):
                if tensor is not None:
                    _set(weights, field.name, index, tensor)
        return weights


_GLOBAL_SLOTS = frozenset({"input_embd", "output_norm", "output_embd"})
_EXPERT_SLOTS = frozenset({"expert_gate_proj", "expert_up_proj", "expert_down_proj"})


def _set(weights: _core.Weights, slot: str, index: int, tensor: Tensor) -> None:
    if isinstance(tensor, QuantizedTensor):
        set_encoded(weights, slot, index, tensor, mapped=False)
        return
    place = slot if index < 0 else f"{slot}[{index}]"
    array: Any = tensor.data if isinstance(tensor, HostTensor) else tensor
    dtype = tensor.dtype if isinstance(tensor, HostTensor) else None
    shape = list(tensor.shape) if isinstance(tensor, HostTensor) and tensor.shape is not None else None
    if not hasattr(array, "__dlpack__"):
        raise CheckpointError(f"{place}: expected a numpy or torch array, got {type(array).__name__}")
    if hasattr(array, "detach"):
        array = array.detach()  # torch does not export what requires a gradient
    if isinstance(array, np.ndarray) and array.dtype.name == "bfloat16":  # of ml_dtypes, which exports no bfloat16
        array, dtype = array.view(np.uint16), dtype or "bf16"
    try:
        weights.set(slot, index, array, dtype, shape, False)
    except TypeError:
        raise CheckpointError(
            f"{place}: an array of {array.dtype} cannot be read: expected float32, float16 or bfloat16"
        ) from None


def set_encoded(weights: _core.Weights, slot: str, index: int, tensor: QuantizedTensor, *, mapped: bool) -> None:
    """Fill a slot with a quantized matrix. Raises CheckpointError naming the slot and the array."""
    place = slot if index < 0 else f"{slot}[{index}]"
    for role, (array, _, _) in tensor.parts.items():
        if not hasattr(array, "__dlpack__"):
            raise CheckpointError(f"{place} {role}: expected a numpy or torch array, got {type(array).__name__}")
    weights.set_encoded(
        slot,
        index,
        tensor.encoding,
        list(tensor.shape),
        {role: (array, dtype, list(shape)) for role, (array, dtype, shape) in tensor.parts.items()},
        bits=tensor.bits,
        block_rows=tensor.block_rows,
        block_columns=tensor.shape[-1] if tensor.block_columns is None else tensor.block_columns,
        zero_offset=tensor.zero_offset,
        mapped=mapped,
    )
