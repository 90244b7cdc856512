"""The arrays that each quantization method stores of a linear layer, checked before a weight is looked at.

Sources of the layouts: transformers `FineGrainedFP8Config`; AutoAWQ `WQLinear_GEMM`; AutoGPTQ and GPTQModel
`QuantLinear`; compressed-tensors `compressors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

import numpy as np

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.quantization import Quantization
from qwen3_chat.models.tensors import Layout, Part, Stored

FLOATS = ("F32", "F16", "BF16")
_SAMPLED_MODULES = 32  # whose zero points are read to tell GPTQ's two versions apart


class Module:
    """One linear layer: its stored arrays by their last name, each checked as it is taken.

    Attributes:
        used: names of the tensors that were taken or may be ignored.
    """

    def __init__(self, files: Mapping[str, Stored], prefix: str, shape: tuple[int, ...], method: str) -> None:
        self.used: set[str] = set()
        self.rows, self.columns = shape
        self._files = files
        self._prefix = prefix
        self._method = method

    def dtype(self, suffix: str) -> str | None:
        """The type of an array, None if there is no such array."""
        stored = self._files.get(f"{self._prefix}.{suffix}")
        return None if stored is None else stored.entry.dtype

    def find(self, suffix: str) -> Stored:
        """An array that must be there.

        Raises:
            CheckpointError: it is not.
        """
        name = f"{self._prefix}.{suffix}"
        stored = self._files.get(name)
        if stored is None:
            beside = next((other for key, other in self._files.items() if key.startswith(self._prefix + ".")), None)
            where = f"{beside.file.path}: " if beside else ""
            raise CheckpointError(f"{where}tensor {name!r} is missing; {self._method} matrices have one")
        self.used.add(name)
        return stored

    def take(
        self,
        suffix: str,
        dtypes: tuple[str, ...],
        shape: tuple[int, ...],
        *,
        or_shapes: Iterable[tuple[int, ...]] = (),
    ) -> Part:
        """An array of one of these types, and of `shape` or another shape that means the same.

        Raises:
            CheckpointError: it is missing, or anything else.
        """
        stored = self.find(suffix)
        if stored.entry.dtype not in dtypes:
            raise CheckpointError(f"{stored.where}: dtype {stored.entry.dtype}, expected {' or '.join(dtypes)}")
        if stored.entry.shape not in (shape, *or_shapes):
            raise CheckpointError(
                f"{stored.where}: shape {list(stored.entry.shape)}, but a {self._method} matrix of "
                f"{self.rows} x {self.columns} makes it {list(shape)}"
            )
        return Part(stored, shape, stored.entry.dtype)

    def groups(self, suffix: str, axis: int, said: int | None) -> tuple[int, int]:
        """How many groups of columns the scales are for, and their size; `said` is what config.json says of the size.

        Raises:
            CheckpointError: the two disagree, or no size gives that many groups.
        """
        stored = self.find(suffix)
        if len(stored.entry.shape) != 2 or not 1 <= (count := stored.entry.shape[axis]) <= self.columns:
            raise CheckpointError(
                f"{stored.where}: shape {list(stored.entry.shape)}, expected two axes, one of groups of the "
                f"{self.columns} inputs"
            )
        size = -(-self.columns // count) if said is None else self.columns if said == -1 else said
        if -(-self.columns // size) != count:
            told = "no whole group size" if said is None else f"group_size {said}"
            raise CheckpointError(f"{stored.where}: {count} groups of {self.columns} inputs, but {told} makes that")
        return count, size


class QuantizedMatrices:
    """How the matrices of one checkpoint are stored, layer by layer."""

    def __init__(self, files: Mapping[str, Stored], quantization: Quantization) -> None:
        self._files = files
        self._quantization = quantization
        self._zero_offset: int | None = None

    def main_tensor(self, prefix: str) -> str:
        """The name of the array that a quantized linear layer cannot be without."""
        return f"{prefix}.qweight" if self._quantization.method in ("awq", "gptq") else f"{prefix}.weight"

    def layout(self, prefix: str, shape: tuple[int, ...]) -> tuple[Layout, set[str]] | None:
        """A linear layer's layout and the names of its tensors; None if it is stored in floats.

        Raises:
            CheckpointError: an array is missing or malformed; file and tensor are named.
        """
        module = Module(self._files, prefix, shape, self._quantization.method)
        match self._quantization.method:
            case "fp8":
                layout = self._fp8(module)
            case "awq":
                layout = self._awq(module)
            case "gptq":
                layout = self._gptq(module)
            case _:
                layout = _compressed(module)
        return None if layout is None else (layout, module.used)

    def _fp8(self, module: Module) -> Layout | None:
        if module.dtype("weight") != "F8_E4M3":
            return None
        rows, columns = self._quantization.block or (128, 128)
        scales = (-(-module.rows // rows), -(-module.columns // columns))
        if module.dtype("input_scale") is not None:  # of activations, which are not rounded to fp8 here
            module.find("input_scale")
        return Layout(
            "fp8",
            (module.rows, module.columns),
            {
                "values": module.take("weight", ("F8_E4M3",), (module.rows, module.columns)),
                "scales": module.take("weight_scale_inv", FLOATS, scales),
            },
            block_rows=rows,
            block_columns=columns,
        )

    def _awq(self, module: Module) -> Layout | None:
        if module.dtype("qweight") is None:
            return None
        words = module.rows // 8
        groups, size = module.groups("scales", 0, self._quantization.group)
        return Layout(
            "awq",
            (module.rows, module.columns),
            {
                "values": module.take("qweight", ("I32",), (module.columns, words)),
                "scales": module.take("scales", FLOATS, (groups, module.rows)),
                "zeros": module.take("qzeros", ("I32",), (groups, words)),
            },
            bits=4,
            block_columns=size,
        )

    def _gptq(self, module: Module) -> Layout | None:
        if module.dtype("qweight") is None:
            return None
        bits = self._quantization.bits or 4
        if self._zero_offset is None:
            self._zero_offset = self._offset_of_zeros(bits)
        groups, size = module.groups("scales", 0, self._quantization.group)
        parts = {
            "values": module.take("qweight", ("I32",), (module.columns * bits // 32, module.rows)),
            "scales": module.take("scales", FLOATS, (groups, module.rows)),
            "zeros": module.take("qzeros", ("I32",), (groups, module.rows * bits // 32)),
        }
        if module.dtype("g_idx") is not None:
            index = _group_index(module.take("g_idx", ("I32",), (module.columns,)), groups, size)
            parts |= {} if index is None else {"group_index": index}
        if module.dtype("bias") is not None:
            _check_no_bias(module.take("bias", FLOATS, (module.rows,)))
        return Layout(
            "gptq",
            (module.rows, module.columns),
            parts,
            bits=bits,
            block_columns=size,
            zero_offset=self._zero_offset,
        )

    def _offset_of_zeros(self, bits: int) -> int:
        """1 if zero points are stored less 1, as the format's first version has it, else 0.

        Files mislabel it. A symmetric checkpoint tells itself: its zero point is half the range, throughout.
        """
        stored = (entry for name, entry in self._files.items() if name.endswith(".qzeros"))
        half = 1 << (bits - 1)
        found: set[int] = set()
        for item in islice(stored, _SAMPLED_MODULES):
            if item.entry.dtype != "I32":
                continue  # refused where its layer is looked at
            values = item.data()
            zeros = (values, values >> 4) if bits == 4 else (values,)
            found |= {int(value) for part in zeros for value in np.unique(part & ((1 << bits) - 1))}
            if len(found) > 1:
                break
        if found == {half}:
            return 0
        if found == {half - 1}:
            return 1
        return self._quantization.zeros_lack


def _compressed(module: Module) -> Layout | None:
    """compressed-tensors; the arrays themselves say which of its formats a layer has."""
    shape = (module.rows, module.columns)
    for suffix in ("input_scale", "input_zero_point", "output_scale", "output_zero_point", "k_scale", "v_scale"):
        if module.dtype(suffix) is not None:  # of activations and of the KV cache, which the engine rounds its own way
            module.find(suffix)
    if module.dtype("weight_packed") is not None:
        return _pack_quantized(module)
    kind = module.dtype("weight")
    if kind not in ("I8", "F8_E4M3"):
        return None
    values = module.take("weight", (kind,), shape)
    scales = module.find("weight_scale")
    if scales.entry.shape in ((), (1,), (1, 1)):  # one for the whole matrix
        if kind == "F8_E4M3":
            one = module.take("weight_scale", FLOATS, (1, 1), or_shapes=((), (1,)))
            return Layout("fp8", shape, {"values": values, "scales": one}, *(8, module.rows, module.columns))
        if module.rows > 1:
            raise CheckpointError(
                f"{scales.where}: one scale for a whole int8 matrix is not supported; one for each row or group is"
            )
    groups, size = (
        (1, module.columns) if scales.entry.shape == (module.rows,) else module.groups("weight_scale", 1, None)
    )
    parts = {
        "values": values,
        "scales": module.take("weight_scale", FLOATS, (module.rows, groups), or_shapes=((module.rows,),)),
    }
    if module.dtype("weight_zero_point") is not None:
        if kind == "F8_E4M3":
            raise CheckpointError(f"{module.find('weight_zero_point').where}: fp8 has no zero points")
        parts["zeros"] = module.take("weight_zero_point", ("I8",), (module.rows, groups))
    return Layout("fp8" if kind == "F8_E4M3" else "int8", shape, parts, block_columns=size)


def _pack_quantized(module: Module) -> Layout:
    packed = module.find("weight_packed")
    words = packed.entry.shape[1] if len(packed.entry.shape) == 2 else 0
    bits = next((bits for bits in (4, 8) if words == -(-module.columns * bits // 32)), None)
    if bits is None:
        raise CheckpointError(
            f"{packed.where}: shape {list(packed.entry.shape)}, expected [{module.rows}, words] with values of 4 or 8 "
            f"bits for {module.columns} inputs"
        )
    groups, size = module.groups("weight_scale", 1, None)
    parts = {
        "values": module.take("weight_packed", ("I32",), (module.rows, words)),
        "scales": module.take("weight_scale", FLOATS, (module.rows, groups)),
    }
    if module.dtype("weight_zero_point") is not None:
        rows = -(-module.rows * bits // 32)
        parts["zeros"] = module.take("weight_zero_point", ("I32",), (rows, groups))
    if module.dtype("weight_g_idx") is not None:
        index = _group_index(module.take("weight_g_idx", ("I32",), (module.columns,)), groups, size)
        parts |= {} if index is None else {"group_index": index}
    if module.dtype("weight_shape") is not None:
        _check_shape(module.take("weight_shape", ("I64", "I32"), (2,)), (module.rows, module.columns))
    return Layout("packed", (module.rows, module.columns), parts, bits=bits, block_columns=size)


def _group_index(part: Part, groups: int, size: int) -> Part | None:
    """The part if groups are not simply successive columns; -1 throughout means that they are.

    Raises:
        CheckpointError: it names a group that is not there.
    """
    index = np.frombuffer(part.stored.data(), "<i4")
    if np.array_equal(index, np.arange(len(index)) // size) or (index == -1).all():
        return None
    if index.min() < 0 or index.max() >= groups:
        wrong = int(index.max() if index.max() >= groups else index.min())
        raise CheckpointError(f"{part.stored.where}: group {wrong}, but there are {groups}")
    return part


def _check_no_bias(part: Part) -> None:
    """Some writers store a bias for every layer; a Qwen3 model has none, so it must be 0."""
    if part.stored.data().any():
        raise CheckpointError(f"{part.stored.where}: is not 0, but a Qwen3 model has no bias")


def _check_shape(part: Part, shape: tuple[int, ...]) -> None:
    stored = np.frombuffer(part.stored.data(), "<i8" if part.stored.entry.dtype == "I64" else "<i4")
    if tuple(stored.tolist()) != shape:
        raise CheckpointError(f"{part.stored.where}: says {stored.tolist()}, but config.json makes it {list(shape)}")
