"""Where the app keeps its files: the folders of the XDG base directory specification, private to the person."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

__all__ = ["Kind", "folder", "make_private"]

Kind = Literal["config", "data", "state", "cache"]
_DEFAULTS: dict[Kind, str] = {
    "config": "~/.config",
    "data": "~/.local/share",
    "state": "~/.local/state",
    "cache": "~/.cache",
}


def folder(kind: Kind, environment: Mapping[str, str] = os.environ) -> Path:
    """The app's folder of that kind, which may not exist yet. A relative $XDG_... path is ignored, as specified."""
    base = environment.get(f"XDG_{kind.upper()}_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path(_DEFAULTS[kind]).expanduser()) / "qwen3-chat"


def make_private(path: Path) -> None:
    """Make the folder, and what is missing above it; nobody else may look into it. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
