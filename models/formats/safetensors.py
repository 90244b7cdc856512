"""A safetensors file, mapped read-only, its header checked in full before any weight is looked at.

Format (https://huggingface.co/docs/safetensors, "Format"): 8 bytes, little-endian: the header's length; the header, a
JSON object {name: {dtype, shape, data_offsets: [begin, end]}} with an optional `__metadata__` of strings; then the
data, to whose start offsets are relative, without gaps or overlaps. The library's own numpy reader has no bfloat16.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterable, Iterator

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import describe, parse_json
from qwen3_chat.models.formats.mapped import MappedFile
from qwen3_chat.models.tensors import TensorEntry

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library
MAX_DIMENSIONS = 8

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


class SafetensorsFile(MappedFile):
    """A mapped safetensors file: `entries` by name, `data(name)` as a read-only view of the mapping."""

    LEAST_BYTES = 8  # the header's length

    def _read_head(self, buffer: mmap.mmap) -> Iterable[TensorEntry]:
        return _parse_header(buffer, str(self.path))


def _parse_header(buffer: mmap.mmap, source: str) -> Iterator[TensorEntry]:
    """Yield the checked entries in the order of their data."""
    size = len(buffer)
    (length,) = struct.unpack_from("<Q", buffer)
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(f"{source}: header of {length} bytes, more than the {MAX_HEADER_BYTES} the format allows")
    if 8 + length > size:
        raise CheckpointError(f"{source}: truncated: header of {length} bytes in a file of {size}")
    try:
        text = buffer[8 : 8 + length].decode("utf-8")
    except UnicodeDecodeError as cause:
        raise CheckpointError(f"{source}: header is not UTF-8: byte {8 + cause.start} of the file") from cause
    header = parse_json(text, f"{source}: header", CheckpointError)
    _check_metadata(header.pop("__metadata__", None), source)

    start = 8 + length
    entries = [_entry(name, value, start, source) for name, value in header.items()]
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    position, previous = start, "the header"
    for entry in entries:
        if entry.begin != position:
            kind = "overlaps" if entry.begin < position else f"leaves {entry.begin - position} bytes unused after"
            raise CheckpointError(f"{source}: tensor {entry.name!r}: data {kind} {previous}")
        if entry.end > size:
            raise CheckpointError(
                f"{source}: truncated: tensor {entry.name!r} ends at byte {entry.end} of a file of {size}"
            )
        position, previous = entry.end, repr(entry.name)
        yield entry
    if position != size:
        raise CheckpointError(f"{source}: {size - position} bytes after the last tensor")


def _check_metadata(metadata: object, source: str) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{source}: __metadata__ is {describe(metadata)}, expected an object of strings")


def _entry(name: str, value: object, start: int, source: str) -> TensorEntry:
    where = f"{source}: tensor {name!r}"
    if not isinstance(value, dict) or not value.keys() >= {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where}: is {describe(value)}, expected an object of dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise CheckpointError(f"{where}: dtype {describe(dtype)} is unknown")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(_is_size(length) for length in shape):
        raise CheckpointError(f"{where}: shape is {describe(shape)}, expected at most {MAX_DIMENSIONS} sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(offset) for offset in offsets):
        raise CheckpointError(f"{where}: data_offsets is {describe(offsets)}, expected [begin, end]")
    begin, end = offsets
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if bits % 8 or begin > end or end - begin != bits // 8:
        raise CheckpointError(
            f"{where}: data_offsets {describe(offsets)} hold {end - begin} bytes, "
            f"but {dtype} {describe(shape)} takes {bits / 8:g}"
        )
    return TensorEntry(name, dtype, tuple(shape), start + begin, start + end)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
