"""Writing a text in the person's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from qwen3_chat.models.errors import Qwen3Error

_FALLBACK = "vi"


class EditorError(Qwen3Error):
    """The editor could not be started or said that it failed. What was written before is as it was."""


def edit(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text as the editor of $VISUAL or $EDITOR leaves it. Blocks; the terminal must be the editor's.

    Raises EditorError.
    """
    command = environment.get("VISUAL") or environment.get("EDITOR") or _FALLBACK
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EditorError(f"$EDITOR = {command!r}: {error}; correct its quotes") from error
    try:
        with tempfile.TemporaryDirectory(prefix="qwen3-chat-") as folder:  # private to the person
            file = Path(folder) / "message.md"
            file.write_text(text, encoding="utf-8", errors="replace")
            status = subprocess.run([*words, str(file)], check=False).returncode
            if status != 0:
                raise EditorError(f"{words[0]} ended with status {status}; the message is as it was")
            return file.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
    except OSError as error:
        why = f"{words[0] if words else command}: {error.strerror}"
        raise EditorError(f"{why}; set $EDITOR to an editor that is installed") from error
