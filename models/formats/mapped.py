"""A file of tensors, mapped read-only: what every container format has in common."""

from __future__ import annotations

import contextlib
import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import file_exists, reason
from qwen3_chat.models.tensors import Bytes, TensorEntry


class MappedFile(ABC):
    """A mapped file. The pages are the file's own, so they can be dropped and come back from disk.

    Attributes:
        path: the file.
        entries: tensors by name.

    Raises:
        CheckpointError: the file cannot be mapped, or breaks its format; file and tensor are named.
    """

    LEAST_BYTES: ClassVar[int] = 0  # of a whole file

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        if not file_exists(path, CheckpointError):
            raise CheckpointError(f"{path}: no such file")
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self.LEAST_BYTES:
                    raise CheckpointError(
                        f"{path}: truncated: {size} bytes, the format has at least {self.LEAST_BYTES}"
                    )
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as cause:  # an empty file cannot be mapped
            raise CheckpointError(f"{path}: cannot be mapped: {reason(cause)}") from cause
        try:
            self.entries = {entry.name: entry for entry in self._read_head(self._map)}
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _read_head(self, buffer: mmap.mmap) -> Iterable[TensorEntry]:
        """The tensors, checked."""

    def data(self, entry: TensorEntry) -> Bytes:
        """The bytes of one of its tensors, [nbytes] uint8, read-only; the mapping lives as long as any view of it."""
        if self._map is None:
            raise CheckpointError(f"{self.path}: was closed")
        return np.frombuffer(self._map, np.uint8, entry.nbytes, entry.begin)

    def close(self) -> None:
        """Let go of the mapping; it is unmapped when the last view of it is gone."""
        mapping, self._map = self._map, None
        if mapping is not None:
            with contextlib.suppress(BufferError):  # views are alive, and the last of them unmaps
                mapping.close()
