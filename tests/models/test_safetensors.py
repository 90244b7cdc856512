from __future__ import annotations

import json
import mmap
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.formats.safetensors import DTYPE_BITS, SafetensorsFile


def write(path: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensor(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": list(shape) if isinstance(shape, tuple) else shape,
        "data_offsets": list(offsets) if isinstance(offsets, tuple) else offsets,
    }


def refused(path: Path, *words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        SafetensorsFile(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


def test_reads_what_the_library_writes(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    tensors = {
        "f32": torch.randn(3, 5),
        "f16": torch.randn(7).half(),
        "bf16": torch.randn(2, 3, 4).bfloat16(),
        "scalar": torch.tensor(4.0),
        "empty": torch.empty(0, 3),
        "i64": torch.arange(4),
        "flags": torch.tensor([True, False]),
    }
    save_file(tensors, path, {"format": "pt"})
    file = SafetensorsFile(path)
    assert file.entries.keys() == tensors.keys()
    for name, expected in tensors.items():
        entry, data = file.entries[name], file.data(file.entries[name])
        assert entry.shape == tuple(expected.shape)
        assert data.dtype == np.uint8 and data.nbytes == expected.nbytes
        assert data.tobytes() == expected.reshape(-1).view(torch.uint8).numpy().tobytes()
    assert [file.entries[name].dtype for name in ("f32", "f16", "bf16", "i64", "flags")] == [
        "F32",
        "F16",
        "BF16",
        "I64",
        "BOOL",
    ]


def test_views_are_read_only_and_outlive_the_file(tmp_path: Path) -> None:
    file = SafetensorsFile(write(tmp_path / "a.safetensors", {"a": tensor()}, b"12345678"))
    data = file.data(file.entries["a"])
    assert not data.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 1
    file.close()
    file.close()
    assert data.tobytes() == b"12345678"
    with pytest.raises(CheckpointError, match="was closed"):
        file.data(file.entries["a"])


def test_order_of_the_header_does_not_matter(tmp_path: Path) -> None:
    header = {"b": tensor(offsets=(8, 16)), "__metadata__": {"format": "pt"}, "a": tensor(offsets=(0, 8))}
    file = SafetensorsFile(write(tmp_path / "a.safetensors", header, b"aaaaaaaabbbbbbbb"))
    assert (
        file.data(file.entries["a"]).tobytes() == b"aaaaaaaa" and file.data(file.entries["b"]).tobytes() == b"bbbbbbbb"
    )


def test_header_may_be_padded_with_spaces(tmp_path: Path) -> None:
    text = json.dumps({"a": tensor()}).encode() + b"   "
    assert SafetensorsFile(write(tmp_path / "a.safetensors", text, b"12345678")).entries.keys() == {"a"}


@pytest.mark.parametrize("content", [b"", b"1234567", struct.pack("<Q", 100) + b"{}", struct.pack("<Q", 3) + b"{}"])
def test_truncated_before_the_data(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    refused(path, "truncated")


@pytest.mark.parametrize("length", [2**60, 2**63, 2**64 - 1, 100_000_001])
def test_absurd_header_length(tmp_path: Path, length: int) -> None:
    refused(write(tmp_path / "a.safetensors", {}, length=length), f"header of {length} bytes")


def test_truncated_data(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"first": torch.zeros(8), "second": torch.zeros(8)}, path)
    os.truncate(path, path.stat().st_size - 1)
    refused(path, "truncated", "'second'")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"garbage", "not valid JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[]", "holds []"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', "'dtype' appears twice"),
        (b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 8]}}', "NaN"),
        ({"a": tensor(), "__metadata__": {"n": 1}}, "__metadata__"),
        ({"a": tensor(), "__metadata__": []}, "__metadata__"),
    ],
)
def test_malformed_header(tmp_path: Path, header: object, words: str) -> None:
    refused(write(tmp_path / "a.safetensors", header, b"12345678"), words)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (1, "expected an object"),
        ({}, "expected an object"),
        ({"dtype": "F32", "shape": [2]}, "expected an object"),
        (tensor("F128"), 'dtype "F128" is unknown'),
        (tensor(7), "dtype 7 is unknown"),  # type: ignore[arg-type]
        (tensor(["F32"]), "is unknown"),  # type: ignore[arg-type]
        (tensor(shape=2), "shape is 2"),
        (tensor(shape=[2.0]), "shape is [2.0]"),
        (tensor(shape=[True, 2]), "shape is [true, 2]"),
        (tensor(shape=[-2]), "shape is [-2]"),
        (tensor(shape=["2"]), "shape is"),
        (tensor(shape=[2**63]), "shape is"),
        (tensor(shape=[1] * 9), "shape is"),
        (tensor(shape=[1] * 1_000_000), "shape is"),
        (tensor(offsets=[0]), "data_offsets is [0]"),
        (tensor(offsets=[0, 8, 8]), "data_offsets is"),
        (tensor(offsets=[-8, 0]), "data_offsets is"),
        (tensor(offsets=["0", "8"]), "data_offsets is"),
        (tensor(offsets=[0, 8.0]), "data_offsets is"),
        (tensor(offsets={"begin": 0}), "data_offsets is"),
        (tensor(offsets=[8, 0]), "hold -8 bytes"),
        (tensor(offsets=[0, 4]), "hold 4 bytes, but F32 [2] takes 8"),
        (tensor("BF16"), "hold 8 bytes, but BF16 [2] takes 4"),
        (tensor(shape=[2**62, 2**62]), "hold 8 bytes"),
        (tensor(shape=[2**62] * 8), "hold 8 bytes"),
        (tensor("F4", shape=[15], offsets=[0, 8]), "takes 7.5"),
    ],
)
def test_malformed_entry_is_named(tmp_path: Path, entry: object, words: str) -> None:
    refused(write(tmp_path / "a.safetensors", {"the.tensor": entry}, b"12345678"), "tensor 'the.tensor'", words)


def test_overlap_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    refused(write(path, {"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(16)), "tensor 'b': data overlaps 'a'")
    refused(write(path, {"a": tensor(), "b": tensor()}, bytes(8)), "tensor 'b': data overlaps 'a'")
    refused(
        write(path, {"a": tensor(), "b": tensor(offsets=(12, 20))}, bytes(20)), "'b': data leaves 4 bytes unused", "'a'"
    )
    refused(write(path, {"a": tensor(offsets=(1, 9))}, bytes(9)), "'a': data leaves 1 bytes unused after the header")
    refused(write(path, {"a": tensor()}, bytes(9)), "1 bytes after the last tensor")
    refused(write(path, {"a": tensor(offsets=(2**62, 2**62 + 8))}, bytes(8)), "'a'")
    refused(write(path, {}, b"x"), "after the last tensor")


def test_what_is_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.safetensors", "no such file")
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    refused(folder, "not a regular file")
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    refused(pipe, "not a regular file")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.safetensors", {"a": tensor()}, bytes(8))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(mmap, "mmap", denied)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: cannot be mapped: Permission denied$"):
        SafetensorsFile(path)


def test_an_error_leaves_no_mapping_behind(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"a": tensor("F128")}, bytes(8))
    refused(path)
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_every_dtype_of_the_library_is_known() -> None:
    # What torch can hold and the library can name.
    names = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"}
    assert names <= DTYPE_BITS.keys()
