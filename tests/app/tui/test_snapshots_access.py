"""Pictures of the screens over the chat, and of the looks for those who need another one than most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chats import talk
from scene import scene, screen_text, wait_until, window
from test_snapshots import compare, conversation, shown

from qwen3_chat.app.chat.history import History, Opened, Store
from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.resolve import Settings, resolve
from qwen3_chat.app.tui.keeper import Keeper
from qwen3_chat.app.tui.screens.sessions import SessionsScreen
from qwen3_chat.app.tui.screens.settings import SettingsScreen

FILE = '[sampling]\ntemperature = 0.5\n\n[profile.calm]\ntemperature = 0.1\nsystem = "Be brief."\n'


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def looking(**values: Any) -> Settings:
    settings = Settings()
    for name, value in values.items():
        settings = settings.changed(name, value)
    return settings


@pytest.mark.parametrize(
    ("size", "look"),
    [
        ((80, 24), "dark"),
        ((120, 40), "no_color"),
        ((200, 60), "light"),
        ((120, 40), "contrast"),
        ((44, 24), "terminal"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
async def test_settings(size: tuple[int, int], look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text(FILE)
    variables = {"QWEN3_CHAT_TOP_K": "40"}
    if look == "no_color":
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        variables["QWEN3_CHAT_THEME"] = look
    app = window(scene(), settings=resolve({"notify": True}, variables, Config.load(), "calm"))
    async with app.run_test(size=size) as pilot:
        await shown(pilot, conversation())
        app.preferences.choose_profile("calm")  # as a start with these settings has it
        await pilot.press("f6")
        await wait_until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen.focused is not None)
        await pilot.press("down", "down", "down")
        await wait_until(pilot, lambda: "think before" in screen_text(app))
        await compare(pilot, f"settings-{size[0]}x{size[1]}-{look}", tmp_path)


@pytest.mark.parametrize(
    ("size", "look"),
    [((80, 24), "contrast"), ((120, 40), "dark"), ((200, 60), "no_color")],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
async def test_saved_chats(size: tuple[int, int], look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if look == "no_color":
        monkeypatch.setenv("NO_COLOR", "1")
    history = History(Store())
    for question in ("Why pairs?", "What is a monad in the category of endofunctors?", "两句话解释一下 YaRN。", "Hi"):
        history.save(talk(question, "The rotation of a pair is an answer."))
    app = window(scene(), settings=looking(theme="auto" if look == "no_color" else look))
    app.session.keeper = Keeper(Opened(app.session.conversation, history, None))
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("ctrl+s", *"pair")
        await wait_until(pilot, lambda: isinstance(app.screen, SessionsScreen) and "rotation" in screen_text(app))
        await compare(pilot, f"sessions-{size[0]}x{size[1]}-{look}", tmp_path)


@pytest.mark.parametrize(
    ("name", "size", "values"),
    [
        ("chat-120x40-contrast", (120, 40), {"theme": "contrast"}),
        ("chat-120x40-ascii", (120, 40), {"ascii": True}),
        ("chat-80x24-terminal", (80, 24), {"theme": "terminal"}),
        ("chat-50x20-narrow", (50, 20), {}),
    ],
)
async def test_another_look(name: str, size: tuple[int, int], values: dict[str, Any], tmp_path: Path) -> None:
    app = window(scene(), settings=looking(**values))
    async with app.run_test(size=size) as pilot:
        await shown(pilot, conversation())
        if size[0] != 80:
            await pilot.press("f3")
            await wait_until(pilot, lambda: "LAYERS" in screen_text(app))
        await compare(pilot, name, tmp_path)
