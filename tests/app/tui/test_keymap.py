"""Keys that a person has chosen, and keys that nobody can."""

from __future__ import annotations

from pathlib import Path

import pytest
from scene import (
    ask,
    scene,
    screen_text,
    wait_until,
    window,
)
from textual.keys import _character_to_key  # no public function tells

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.tui.actions import ACTIONS
from qwen3_chat.app.tui.keymap import Keymap, normal
from qwen3_chat.app.tui.screens.help import HelpScreen
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel


def keymap(tmp_path: Path, text: str) -> Keymap:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return Keymap.from_config(Config.load(file))


async def test_other_keys_do_the_same(tmp_path: Path) -> None:
    chosen = keymap(
        tmp_path,
        '[keys]\n"view.engine" = ["f9", "ctrl+e"]\nmessage.copy = "c"\nmessage.code = "y"\n"view.theme" = "f8"',
    )
    app = window(scene("It is `x`."), keymap=chosen)
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, "hi")
        panel = app.chat.query_one(EnginePanel)
        await pilot.press("f3")
        assert not panel.is_open
        await pilot.press("f9")
        assert panel.is_open
        await pilot.press("ctrl+e")
        assert not panel.is_open
        await pilot.press("alt+up", "c")
        assert app.clipboard == "It is `x`."
        await pilot.press("escape", "f8")
        await wait_until(pilot, lambda: app.screen is not app.chat)  # it had no key before


async def test_hints_and_help_show_the_keys_that_hold(tmp_path: Path) -> None:
    app = window(scene(), keymap=keymap(tmp_path, '[keys]\n"view.help" = "ctrl+y"\n"view.engine" = []'))
    async with app.run_test(size=(120, 90)) as pilot:
        await wait_until(pilot, lambda: "^Y help" in screen_text(app))
        assert "engine" not in screen_text(app).split("\n")[-1]
        await pilot.press("ctrl+y")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_until(pilot, lambda: "^Y, /help" in screen_text(app))


async def test_a_key_without_an_action_does_nothing(tmp_path: Path) -> None:
    app = window(scene(), keymap=keymap(tmp_path, '[keys]\n"view.engine" = []'))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("f3")
        assert not app.chat.query_one(EnginePanel).is_open


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('"turn.regenrate" = "r"', 'did you mean "turn.regenerate"'),
        ('"chat.new" = "ctrl+nonsense"', "there is no such key"),
        ('"chat.new" = "hyperspace+n"', "there is no such key"),
        ('"chat.new" = "n"', "needed for writing"),
        ('"chat.new" = "?"', "needed for writing"),
        ('"prompt.send" = "space"', "needed for writing"),
        ('"chat.new" = "up"', "needed for writing"),
        ('"chat.new" = "ctrl+b"', "tmux"),
        ('"chat.new" = "ctrl+a"', "screen"),
        ('"chat.new" = "ctrl+i"', "tab"),
        ('"chat.new" = "ctrl+m"', "enter"),
        ('"chat.new" = "ctrl+h"', "backspace"),
        ('"chat.new" = "ctrl+["', "escape"),
        ('"chat.new" = "ctrl+q"', 'is the key of "app.quit_chat" already'),
        ('"message.copy" = "e"', 'is the key of "message.edit" already'),
        ('"prompt.send" = []', "needs a key"),
        ('"chat.new" = 3', "expected a key"),
        ('"chat.new" = [3]', "expected a key"),
    ],
)
def test_what_cannot_be_is_said_with_file_and_action(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        keymap(tmp_path, f"[keys]\n{table}")
    assert str(tmp_path / "config.toml") in str(raised.value)
    assert table.split('"')[1] in str(raised.value)
    assert said in str(raised.value)


def test_what_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"config\.toml:3: "):
        keymap(tmp_path, '[keys]\n"chat.new" = "f9"\nmessage.copy = "ctrl+m"\n')


def test_characters_are_spelled_as_textual_spells_them() -> None:
    for character in map(chr, range(33, 127)):
        assert normal(character) == _character_to_key(character)


def test_two_actions_can_swap_their_keys(tmp_path: Path) -> None:
    chosen = keymap(tmp_path, '[keys]\n"message.copy" = "e"\n"message.edit" = "y"')
    assert (chosen.keys("message.copy"), chosen.keys("message.edit")) == (("e",), ("y",))


def test_the_registrys_own_keys_are_usable(tmp_path: Path) -> None:
    same = {action.id: action.keys for action in ACTIONS if action.keys}
    chosen = Keymap.from_config(Config(tmp_path, keys=same))
    assert all(chosen.keys(action.id) == Keymap().keys(action.id) for action in ACTIONS)
    assert {key for keys in same.values() for key in keys}.isdisjoint(
        {"ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m", "ctrl+h"}
    )


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("prompt.newline", "^J"),
        ("turn.continue", "."),
        ("message.newer", "]"),
        ("turn.stop", "esc"),
        ("cursor.previous", "alt+↑"),
        ("view.engine", "F3"),
        ("view.theme", ""),
    ],
)
def test_keys_are_written_for_people(action: str, shown: str) -> None:
    assert Keymap().shown(action) == shown
