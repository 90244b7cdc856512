"""Another model in the place of the one that is there: both in memory only where the new one loses nothing by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.hub import HubName, obtain
from qwen3_chat.app.chat.memory import free_memory, plan
from qwen3_chat.app.chat.model import ChatModel, preflight, with_devices
from qwen3_chat.app.chat.options import EngineOptions

if TYPE_CHECKING:
    from qwen3_chat.app.chat.hub.download import Step
    from qwen3_chat.engine import Progress
    from qwen3_chat.models.checkpoint import WeightCounts
    from qwen3_chat.models.config import Qwen3Config

__all__ = ["Replacement"]


class Replacement:
    """One change of models. `load` runs in a loader's thread; the interface reads the rest once it has ended.

    Attributes:
        before: where the model is that was there; None: there was none.
        kept: that model, as long as it is loaded.
    """

    def __init__(self, old: ChatModel | None, new: Path | HubName, options: EngineOptions) -> None:
        """Nobody may use `old` from now on, unless `load` fails and `kept` still has it."""
        self.before = old.path if old is not None else None
        self.kept = old
        self._new = new
        self._options = options

    def load(self, progress: Callable[[Progress | Step], bool | None]) -> ChatModel:
        """Load the new one, after a download where there has to be one.

        The old one goes first where memory is short, else last, so that a failure costs nothing.

        Raises what `ChatModel.load` does. What the files or the memory forbid is found while the old one is there.
        """
        path = obtain(self._new, progress)
        preflight(path)
        from qwen3_chat.models.source import open_model

        with open_model(path) as source:
            checkpoint = source.checkpoint()
            config, counts = checkpoint.config, checkpoint.counts
        options = self._options
        if options.context is not None and options.context > max(config.longest_context, config.most_context):
            options = replace(options, context=None)  # it was asked of a model that was made for more
        if self.kept is not None and not _fits_beside(self.kept, config, counts, options):
            self.let_go()
        model = ChatModel.load(path, options, progress)
        self.let_go()
        return model

    def let_go(self) -> None:
        """Close the old model, if it is still there."""
        old, self.kept = self.kept, None
        if old is not None:
            old.close()


def _fits_beside(old: ChatModel, config: Qwen3Config, counts: WeightCounts, options: EngineOptions) -> bool:
    """Whether it gets as much memory beside the old model as it would get without. OutOfMemory: not even without."""
    from qwen3_chat.engine import OutOfMemory

    options = with_devices(options, config)
    free = free_memory(options.devices)
    if free is None:  # nothing can be said
        return False
    held = old.engine.memory()
    alone = plan(config, counts, options, free + held.weights + held.kv_used)
    try:
        return plan(config, counts, options, free) == alone
    except OutOfMemory:
        return False
