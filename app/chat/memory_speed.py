"""How fast this machine reads memory: measured once a process, while the engine has nothing to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

from qwen3_chat.app.chat.memory import available_bytes
from qwen3_chat.models.errors import Qwen3Error

__all__ = ["MemorySpeed"]

_ROOM = 1 << 30  # bytes that must be free: measuring takes a quarter of that for a moment
_PATIENCE = 4  # polls at rest before it is measured, and as many between two tries


class MemorySpeed:
    """Ask often; it is known some time after the first quiet moment. A reply that begins meanwhile stops the measuring.

    Without room, or where measuring fails, it is never known.
    """

    _known: ClassVar[dict[int, float]] = {}  # bytes/s by threads, for the whole process

    def __init__(self, at_rest: Callable[[], bool], measure: Callable[[int, Callable[[], bool]], float | None]) -> None:
        """`at_rest`: the engine does nothing, called from another thread, too; `measure`: `engine.measure_reads`."""
        self._at_rest = at_rest
        self._measure = measure
        self._thread: threading.Thread | None = None
        self._quiet = 0
        self._hopeless = False

    def poll(self, threads: int) -> float | None:
        """Bytes a second on so many threads; None while that is not known."""
        if threads in self._known or self._hopeless:
            return self._known.get(threads)
        self._quiet = self._quiet + 1 if self._at_rest() else 0
        if self._quiet >= _PATIENCE and (self._thread is None or not self._thread.is_alive()):
            self._quiet = 0
            self._thread = threading.Thread(target=self._run, args=(threads,), name="memory-speed", daemon=True)
            self._thread.start()
        return None

    def _run(self, threads: int) -> None:
        room = available_bytes()
        try:
            speed = self._measure(threads, self._at_rest) if room is None or room >= _ROOM else None
        except Qwen3Error:
            speed, room = None, 0
        if speed is not None:
            self._known[threads] = speed
        self._hopeless = room is not None and room < _ROOM
