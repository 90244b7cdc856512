"""Weights as a file stores them: where each lies, what it is made of, and views of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a file: where it lies, in bytes from the file's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def nbytes(self) -> int:
        """Bytes it takes in the file."""
        return self.end - self.begin


class TensorFile(Protocol):
    """A mapped file of tensors, whatever its format."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    def data(self, entry: TensorEntry) -> Bytes:
        """The bytes of one of its tensors, read-only."""
        ...

    def close(self) -> None:
        """Let go of the mapping; views stay valid."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor and the file that holds it."""

    file: TensorFile
    entry: TensorEntry

    @property
    def where(self) -> str:
        """File and tensor, as errors name them."""
        return f"{self.file.path}: tensor {self.entry.name!r}"

    def data(self) -> Bytes:
        """Its bytes, [nbytes] uint8, read-only."""
        return self.file.data(self.entry)


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A weight as the file stores it.

    Attributes:
        dtype: "F32", "F16" or "BF16"; also others where it is a part of a quantized matrix.
        data: [nbytes] uint8, little-endian, row-major, read-only, at any alignment.
        mapped: `data` is a view of a read-only file mapping, so its pages may be dropped: they come back from the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Bytes
    mapped: bool

    def float32(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A float32 copy of shape `shape`; exact, as every stored float type is part of float32."""
        if self.dtype == "BF16":  # the upper half of a float32
            bits = np.frombuffer(self.data, "<u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(self.shape)
        stored = np.frombuffer(self.data, "<f4" if self.dtype == "F32" else "<f2")
        return stored.astype(np.float32).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Part:
    """One array of a quantized matrix, with the shape and element type that the engine reads it in."""

    stored: Stored
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a quantized matrix is stored, in the engine's words (engine_cpp/include/qwen3/encoding.hpp).

    Attributes:
        encoding: "fp8", "int8", "packed", "gptq", "awq", or one of GGUF's.
        shape: [out, in].
        parts: by role: "values", "scales", "zeros", "group_index".
        bits: of a value.
        block_rows: rows that share a scale.
        block_columns: columns that share a scale.
        zero_offset: what stored zero points lack.
    """

    encoding: str
    shape: tuple[int, ...]
    parts: Mapping[str, Part]
    bits: int = 8
    block_rows: int = 1
    block_columns: int = 1
    zero_offset: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.stored.entry.nbytes for part in self.parts.values())

    @property
    def kept(self) -> str:
        """The engine's integers that come closest: "int8" or "int4"; the engine decides alike (TensorView)."""
        four = self.encoding in ("q4_0", "q4_k") or (self.encoding in ("packed", "gptq", "awq") and self.bits == 4)
        return "int4" if four else "int8"


@dataclass(frozen=True, slots=True)
class EncodedTensor:
    """A quantized matrix as the file stores it: `layout.parts`, each as a RawTensor."""

    name: str
    layout: Layout
    parts: Mapping[str, RawTensor]

    @classmethod
    def of(cls, name: str, layout: Layout) -> EncodedTensor:
        """Look at the mapped bytes of every part."""
        return cls(
            name,
            layout,
            {
                role: RawTensor(part.stored.entry.name, part.dtype, part.shape, part.stored.data(), mapped=True)
                for role, part in layout.parts.items()
            },
        )
