"""Where the saved chats are: one file that nobody but its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from qwen3_chat.app.chat.errors import HistoryError

__all__ = ["claim", "database_path"]

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def database_path() -> Path:
    """`$XDG_DATA_HOME/qwen3-chat/chats.db`. A relative XDG_DATA_HOME does not count, as the XDG specification says."""
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".local" / "share"
    return home / "qwen3-chat" / "chats.db"


def claim(path: Path) -> None:
    """Make the file and its folder where they are missing, and keep everybody else out. Raises HistoryError."""
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        # SQLite gives the files beside it (-wal, -shm) the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        if path.stat().st_mode & 0o077:
            path.chmod(FILE_MODE)
    except OSError as error:
        raise HistoryError(f"{error.filename or path}: {error.strerror}; chats cannot be saved there") from error
