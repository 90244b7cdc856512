"""Who has a chat open: a lock that the kernel drops with the process, however that ends.

A process id can come again and means nothing in another container; a lock has neither fault. Chat number n is byte n of
a file beside the database, locked as a whole open file description (OFD), so that two windows of one process count as
two, and no lock is lost because somebody else closes the file.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history.place import FILE_MODE

__all__ = ["ChatLocks"]

_FLOCK = "hhqqi"  # struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid


class ChatLocks:
    """The chats that this window has open, and a look at those of others."""

    def __init__(self, path: Path) -> None:
        """`path` of the lock file, made if it is missing. Raises HistoryError."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise HistoryError(f"{path}: {error.strerror}; chats cannot be saved there") from error
        self._path = path
        self._held: dict[int, int] = {}  # chat number -> times taken

    def holds(self, number: int) -> bool:
        """Whether this window has the chat open."""
        return number in self._held

    def taken_elsewhere(self, number: int) -> bool:
        """Whether another window or process has the chat open."""
        return not self.holds(number) and self._call(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, number) != fcntl.F_UNLCK

    def take(self, number: int) -> bool:
        """Open the chat, if nobody else has it open. Taken twice, it must be released twice."""
        if not self.holds(number):
            try:
                self._call(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, number)
            except BlockingIOError:
                return False
        self._held[number] = self._held.get(number, 0) + 1
        return True

    def release(self, number: int) -> None:
        """Let others have it."""
        self._held[number] -= 1
        if not self._held[number]:
            del self._held[number]
            self._call(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, number)

    def close(self) -> None:
        """Release everything."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._held.clear()

    def _call(self, command: int, kind: int, number: int) -> int:
        request = struct.pack(_FLOCK, kind, os.SEEK_SET, number, 1, 0)
        try:
            answer = fcntl.fcntl(self._file, command, request)
        except BlockingIOError:
            raise
        except OSError as error:  # a file system without locks
            raise HistoryError(
                f"{self._path}: cannot be locked: {error.strerror}; chats cannot be saved there"
            ) from error
        return int(struct.unpack(_FLOCK, answer)[0])
