"""Makes `scripted` and `processes` importable for every test of the app, and keeps its files out of one's home."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders for configuration, state and chats, also in the processes that a test starts."""
    home = tmp_path_factory.mktemp("home")
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    return home


@pytest.fixture
def data_home(homes: Path) -> Path:
    """Where the chats of a test are saved, still empty."""
    folder = homes / "data"
    folder.mkdir()
    return folder
