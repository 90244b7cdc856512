"""One loaded checkpoint with all that a chat needs of it: engine, tokenizer, template, defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qwen3_chat.app.chat.options import EngineOptions

if TYPE_CHECKING:
    from qwen3_chat.app.chat.prompt import Prompt
    from qwen3_chat.engine import Engine, KVCache, Progress
    from qwen3_chat.models.chat_template import ChatTemplate
    from qwen3_chat.models.config import GenerationDefaults, Qwen3Config
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["ChatModel", "ThinkingMode", "preflight"]

ThinkingMode = Literal["switch", "always", "never"]


def preflight(path: Path) -> None:
    """Look at a checkpoint folder without importing anything heavy, so that a bad path never opens a screen.

    Raises CheckpointError or ConfigError whose one line says what was looked for and what to do.
    """
    raise NotImplementedError


@dataclass(eq=False)
class ChatModel:
    """A loaded checkpoint. Close it (or use `with`) to give the memory back."""

    engine: Engine
    tokenizer: Tokenizer
    template: ChatTemplate
    config: Qwen3Config
    defaults: GenerationDefaults
    path: Path
    name: str  # for people: the folder's name; the demo says that it is one
    is_demo: bool
    thinking_mode: ThinkingMode  # has a switch; thinks whatever one asks (2507 Thinking); never thinks (Instruct)
    prompt: Prompt  # conversation -> token ids, with a memory for the part that did not change

    @classmethod
    def load(
        cls,
        path: Path | str,
        options: EngineOptions | None = None,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> ChatModel:
        """Check files, template and memory, then load the engine. Blocks: call it from a worker thread under a screen.

        `progress` gets engine.Progress(stage, done, total) in bytes; returning False cancels (Cancelled is raised).
        Raises ConfigError, CheckpointError, TemplateError (unusable checkpoint), OptionError (a flag this checkpoint
        cannot honour), OutOfMemory (with what is needed, what is free and a flag to try), DeviceError.
        """
        raise NotImplementedError

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        return self.engine.context

    def thinks(self, wanted: bool | None) -> bool:
        """Whether a reply will think when `wanted` is asked for (None: no wish; then it thinks if it can)."""
        if self.thinking_mode == "switch":
            return wanted is not False
        return self.thinking_mode == "always"

    def new_cache(self) -> KVCache:
        """An empty KV cache; one per conversation."""
        return self.engine.new_cache()

    def close(self) -> None:
        """Stop the engine and free its memory. The model cannot be used afterwards."""
        self.engine.close()

    def __enter__(self) -> ChatModel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
