"""What was asked before, kept from one run to the next: one JSON string a line, oldest first, private and bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TextIO

from qwen3_chat.app.chat.folders import make_private

__all__ = ["PromptHistory"]

LIMIT = 1000  # prompts
LONGEST = 1 << 16  # characters of one prompt; a longer one is remembered for this run only


class PromptHistory:
    """The prompts, oldest first. A file that cannot be written costs the next run its memory, and nothing else."""

    def __init__(self, path: Path | None, limit: int = LIMIT) -> None:
        """Read the file; lines that are no prompts are skipped. None: nothing is read or kept."""
        self._path = path
        self._limit = limit
        self.failure: str | None = None  # why nothing is kept
        self.prompts = _read(path)[-limit:] if path is not None else []
        self._lines = len(self.prompts)  # in the file

    def add(self, prompt: str) -> None:
        """Remember a prompt, unless it repeats the one before."""
        if not prompt or self.prompts[-1:] == [prompt]:
            return
        self.prompts.append(prompt)
        del self.prompts[: -self._limit]
        if self._path is None or len(prompt) > LONGEST:
            return
        try:
            self._write(self._path, prompt)
            self.failure = None
        except OSError as error:
            self.failure = f"{self._path}: {error.strerror}"

    def find(self, text: str, before: int | None = None) -> int | None:
        """Place of the newest prompt that holds `text`, whatever its case, older than place `before`."""
        wanted = text.casefold()
        places = range(len(self.prompts) if before is None else before)
        return next((place for place in reversed(places) if wanted in self.prompts[place].casefold()), None)

    def _write(self, path: Path, prompt: str) -> None:
        make_private(path.parent)
        if self._lines < 2 * self._limit:  # several windows may add to it: a line is written in one piece
            with _open(path, os.O_APPEND) as file:
                file.write(_line(prompt))
            self._lines += 1
            return
        kept = [known for known in self.prompts if len(known) <= LONGEST]
        new = path.with_name(f"{path.name}.new")
        with _open(new, os.O_TRUNC) as file:
            file.write("".join(map(_line, kept)))
        new.replace(path)
        self._lines = len(kept)


def _open(path: Path, flag: int) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600), "w", encoding="utf-8")


def _line(prompt: str) -> str:
    return json.dumps(prompt) + "\n"


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not there yet, or not ours: there is nothing to remember
        return []
    prompts = []
    for line in lines:
        try:
            prompt = json.loads(line)
        except ValueError:
            continue
        if isinstance(prompt, str) and prompt:
            prompts.append(prompt)
    return prompts
