"""A GGUF file, mapped read-only, its metadata and tensor table checked in full before any weight is looked at.

Format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian: "GGUF", version, counts; metadata as
(key, type, value); tensors as (name, dimensions, type, offset), the first dimension running fastest; then, aligned, the
data, to whose start offsets are relative.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.formats.mapped import MappedFile
from qwen3_chat.models.tensors import TensorEntry

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32

# Type of a tensor -> its name, weights in a block, bytes of a block.
TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class GgufFile(MappedFile):
    """A mapped GGUF file: what every mapped file has, and its metadata. Shapes are row-major, [out, in].

    Attributes:
        metadata: key -> number, bool, string or list of these.
    """

    def _read_head(self, buffer: mmap.mmap) -> Iterable[TensorEntry]:
        reader = _Reader(buffer, self.path)
        self.metadata = reader.metadata()
        return reader.tensors(self.metadata)


class _Reader:
    """Takes one field after the other from the head of a file; never beyond its end."""

    def __init__(self, buffer: mmap.mmap, path: Path) -> None:
        self._buffer = buffer
        self._size = len(buffer)
        self._path = path
        self._at = 0
        if self._take(4, "the magic number") != MAGIC:
            raise CheckpointError(f"{path}: does not begin with {MAGIC.decode()}, so it is no GGUF file")
        version = self._number("I", "version")
        if version not in VERSIONS:
            what = "a big-endian file" if version & 0xFFFF == 0 else "an unknown version"
            raise CheckpointError(
                f"{path}: version {version} is {what}; versions 2 and 3, little-endian, are supported"
            )
        self._tensor_count = self._count("Q", "tensors", 24)  # the least that one takes
        self._key_count = self._count("Q", "metadata keys", 13)

    def metadata(self) -> dict[str, Any]:
        """The metadata, which come first."""
        found: dict[str, Any] = {}
        for _ in range(self._key_count):
            key = self._string("a metadata key")
            if key in found:
                raise CheckpointError(f"{self._path}: metadata key {key!r} appears twice")
            found[key] = self._value(self._number("I", f"the type of {key}"), key)
        return found

    def tensors(self, metadata: dict[str, Any]) -> Iterator[TensorEntry]:
        """The checked tensors, after the metadata."""
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise CheckpointError(f"{self._path}: general.alignment is {alignment}, expected a power of 2")
        tensors = [self._tensor() for _ in range(self._tensor_count)]
        start = -(-self._at // alignment) * alignment
        tensors.sort(key=lambda tensor: tensor.begin)
        position, names = start, set[str]()
        for tensor in tensors:
            where = f"{self._path}: tensor {tensor.name!r}"
            begin, end = start + tensor.begin, start + tensor.end
            if tensor.name in names:
                raise CheckpointError(f"{where}: appears twice")
            if tensor.begin % alignment:
                raise CheckpointError(f"{where}: offset {tensor.begin} is no multiple of the alignment of {alignment}")
            if begin < position:
                raise CheckpointError(f"{where}: data overlaps the tensor before it")
            if end > self._size:
                raise CheckpointError(f"{where}: truncated: ends at byte {end} of a file of {self._size}")
            names.add(tensor.name)
            position = end
            yield TensorEntry(tensor.name, tensor.dtype, tensor.shape, begin, end)

    def _tensor(self) -> TensorEntry:
        """A tensor with its place relative to the data's start."""
        name = self._string("a tensor's name")
        where = f"{self._path}: tensor {name!r}"
        dimensions = self._number("I", f"the dimensions of {name}")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise CheckpointError(f"{where}: {dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}")
        sizes = [self._number("Q", f"the dimensions of {name}") for _ in range(dimensions)]
        kind = self._number("I", f"the type of {name}")
        offset = self._number("Q", f"the offset of {name}")
        if kind not in TENSOR_TYPES:
            raise CheckpointError(f"{where}: type {kind} is unknown")
        dtype, weights, nbytes = TENSOR_TYPES[kind]
        if sizes[0] % weights:
            raise CheckpointError(f"{where}: rows of {sizes[0]} are not whole {dtype} blocks of {weights}")
        return TensorEntry(name, dtype, tuple(reversed(sizes)), offset, offset + math.prod(sizes) // weights * nbytes)

    def _value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self._string(key)
        if kind in _SCALARS:
            return self._number(_SCALARS[kind], key)
        if kind != _ARRAY:
            raise CheckpointError(f"{self._path}: metadata key {key!r}: type {kind} is unknown")
        items = self._number("I", key)
        if items == _STRING:
            return self._strings(self._count("Q", f"items of {key}", 8), key)
        if items not in _SCALARS:
            raise CheckpointError(f"{self._path}: metadata key {key!r}: an array of type {items} is not supported")
        code = "<" + _SCALARS[items]
        count = self._count("Q", f"items of {key}", struct.calcsize(code))
        return [value for (value,) in struct.iter_unpack(code, self._take(count * struct.calcsize(code), key))]

    def _strings(self, count: int, key: str) -> list[str]:
        """Many strings, a vocabulary say, without a call for each."""
        found: list[str] = []
        at, size, buffer, length_of = self._at, self._size, self._buffer, struct.Struct("<Q").unpack_from
        try:
            for _ in range(count):
                end = at + 8 + length_of(buffer, at)[0]
                if end > size:
                    break
                found.append(buffer[at + 8 : end].decode("utf-8"))
                at = end
        except UnicodeDecodeError as cause:
            raise CheckpointError(f"{self._path}: {key}[{len(found)}] is not UTF-8") from cause
        except struct.error:
            pass  # the next length lies behind the end
        if len(found) < count:
            raise CheckpointError(f"{self._path}: truncated: {key}[{len(found)}] ends behind the file's {size} bytes")
        self._at = at
        return found

    def _count(self, code: str, what: str, least: int) -> int:
        """A number of things that take at least so many bytes each: the file must have room for them."""
        count: int = self._number(code, f"the number of {what}")
        if count * least > self._size - self._at:
            raise CheckpointError(f"{self._path}: truncated: {count} {what} in a file of {self._size} bytes")
        return count

    def _number(self, code: str, what: str) -> Any:
        code = "<" + code
        return struct.unpack(code, self._take(struct.calcsize(code), what))[0]

    def _string(self, what: str) -> str:
        data = self._take(self._number("Q", f"the length of {what}"), what)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as cause:
            raise CheckpointError(f"{self._path}: {what} is not UTF-8") from cause

    def _take(self, count: int, what: str) -> bytes:
        if count > self._size - self._at:
            raise CheckpointError(f"{self._path}: truncated: {what} ends behind the file's {self._size} bytes")
        self._at += count
        return self._buffer[self._at - count : self._at]
