"""Everything a chat needs of a model, wherever it lies: in a checkpoint folder or in a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.config import GenerationDefaults
from qwen3_chat.models.files import is_gguf
from qwen3_chat.models.gguf import GgufModel
from qwen3_chat.models.tokenizer import Tokenizer


class ModelSource(Protocol):
    """A model's parts; each raises its own errors when it is asked for. Use it in a `with`."""

    def checkpoint(self) -> Checkpoint:
        """The weights; they stay open until the source is closed."""
        ...

    def tokenizer(self) -> Tokenizer:
        """The tokenizer."""
        ...

    def template(self, tokenizer: Tokenizer) -> ChatTemplate:
        """The chat template, or the fallback."""
        ...

    def defaults(self) -> GenerationDefaults:
        """The sampling settings that it recommends."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class FolderModel:
    """A checkpoint folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: Checkpoint | None = None

    def checkpoint(self) -> Checkpoint:
        """See Checkpoint.open."""
        self._opened = Checkpoint.open(self._path)
        return self._opened

    def tokenizer(self) -> Tokenizer:
        """See Tokenizer.from_folder."""
        return Tokenizer.from_folder(self._path)

    def template(self, tokenizer: Tokenizer) -> ChatTemplate:
        """See ChatTemplate.from_folder."""
        return ChatTemplate.from_folder(self._path, tokenizer)

    def defaults(self) -> GenerationDefaults:
        """See GenerationDefaults.from_folder."""
        return GenerationDefaults.from_folder(self._path)

    def __enter__(self) -> FolderModel:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            self._opened.close()


def open_model(path: Path) -> ModelSource:
    """The model at a path.

    Raises:
        CheckpointError, ConfigError: it is a GGUF file and malformed.
    """
    return GgufModel(path) if is_gguf(path) else FolderModel(path)
