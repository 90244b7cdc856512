"""Makes `scripted` and `processes` importable for every test of the app, and keeps its files out of one's home."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qwen3_chat.app.chat.history import History

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders for configuration, state and chats, also in the processes that a test starts."""
    home = tmp_path_factory.mktemp("home")
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    for variable in [name for name in os.environ if name.startswith("QWEN3_CHAT_")]:
        monkeypatch.delenv(variable)
    return home


@pytest.fixture
def data_home(homes: Path) -> Path:
    """Where the chats of a test are saved, still empty."""
    folder = homes / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """An empty database in the test's folder; every look at its clock is a second later."""
    from qwen3_chat.app.chat.history import History, Store

    numbers = itertools.count(1000)
    with History(Store(tmp_path / "chats.db", now=lambda: float(next(numbers)))) as made:
        yield made
