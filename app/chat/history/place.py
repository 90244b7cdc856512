"""Where the saved chats are: one file that nobody but its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.folders import folder, make_private

__all__ = ["FILE_MODE", "claim", "database_path"]

FILE_MODE = 0o600


def database_path() -> Path:
    """`chats.db` in the app's data folder."""
    return folder("data") / "chats.db"


def claim(path: Path) -> None:
    """Make the file and its folder where they are missing, and keep everybody else out. Raises HistoryError."""
    try:
        make_private(path.parent)
        # SQLite gives the files beside it (-wal, -shm) the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        path.chmod(FILE_MODE)
    except OSError as error:
        raise HistoryError(f"{error.filename or path}: {error.strerror}; chats cannot be saved there") from error
