"""The configuration file, and how the command ends when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen3_chat.app import tui
from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import folder, make_private
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.settings import Settings, settings_file
from qwen3_chat.app.cli import USAGE, exit_code


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    assert Settings.load(tmp_path / "none.toml").keys == {}


def test_dots_in_names_need_no_quotes(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[keys]\nturn.stop = "f5"\n"chat.new" = ["f6", "f7"]\n')
    assert Settings.load(file).keys == {"turn.stop": ("f5",), "chat.new": ("f6", "f7")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[keys\n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[kyes]\n", "'kyes' is not known; what can stand there: [keys]"),
        (b"keys = 3\n", "expected a table [keys]"),
    ],
)
def test_what_cannot_be_read_names_the_file(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        Settings.load(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load(tmp_path)


def test_the_window_does_not_open_on_wrong_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "qwen3-chat" / "config.toml"
    file.parent.mkdir()
    file.write_text('[keys]\n"turn.stop" = "ctrl+m"\n')
    assert settings_file() == file
    with pytest.raises(SettingsError, match=r"turn\.stop") as raised:
        tui.run(ChatOptions(model=tmp_path))
    assert exit_code(raised.value) == USAGE


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    assert folder("state", {"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "qwen3-chat"
    for ignored in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert folder("state", ignored) == Path.home() / ".local" / "state" / "qwen3-chat"


def test_a_private_folder_is_the_persons_alone(tmp_path: Path) -> None:
    wanted = tmp_path / "a" / "b"
    make_private(wanted)
    make_private(wanted)
    assert wanted.stat().st_mode & 0o777 == 0o700
