"""Which models were opened last, kept from one run to the next: one JSON string a line, the newest last, private."""

from __future__ import annotations

import json
import os
from pathlib import Path

from qwen3_chat.app.chat.folders import folder, make_private

__all__ = ["RecentModels"]

MOST = 20


class RecentModels:
    """What `--model` could be given again: absolute paths. A file that cannot be written costs this list, no more."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: where it is kept (default: the app's folder for its state)."""
        self._path = folder("state") / "models.jsonl" if path is None else path

    def paths(self) -> list[Path]:
        """Models that are still there, the newest first."""
        return [path for path in map(Path, reversed(self._read())) if path.exists()]

    def add(self, model: Path) -> None:
        """This one was opened."""
        name = str(model.absolute())
        kept = [known for known in self._read() if known != name][-(MOST - 1) :]
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            make_private(self._path.parent)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in [*kept, name])
            new.replace(self._path)
        except OSError:  # nothing that a chat should be disturbed for
            return

    def _read(self) -> list[str]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                name = json.loads(line)
            except ValueError:
                continue
            if isinstance(name, str) and name and "\0" not in name:
                found.append(name)
        return found
