"""The model loads in a thread of its own while the window is already there. The interface only ever looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.hub.download import Step
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.engine import Progress

ProgressCallback = Callable[["Progress | Step"], bool | None]
Load = Callable[[ProgressCallback], "ChatModel"]


@dataclass(frozen=True, slots=True)
class Stage:
    """How far loading has come. Bytes."""

    name: str
    done: int
    total: int


class Loader:
    """One load. `stage`, `model` and `error` are written by the thread and read by the interface's timer."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)
        self.stage: Stage | None = None  # None: still opening the files
        self.model: ChatModel | None = None
        self.error: BaseException | None = None

    @property
    def running(self) -> bool:
        """The thread is alive: neither a model nor an error is final yet."""
        return self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked it to stop."""
        return self._cancelled.is_set()

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop at the next step of progress."""
        self._cancelled.set()

    def join(self) -> None:
        """Wait until the thread has ended, and let go of a model that nobody will use."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            # Needed by the first reply and slow to import; here it costs the person nothing.
            import_module("qwen3_chat.app.tui.render.markdown")
            self.model = self._load(self._progress)
        except BaseException as error:  # whatever it was, the screen shows it
            self.error = error

    def _progress(self, progress: Progress | Step) -> bool:
        self.stage = Stage(progress.stage, progress.done, progress.total)
        return not self._cancelled.is_set()
