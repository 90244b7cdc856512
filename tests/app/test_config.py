"""`qwen3-chat config`, and what writing into the file leaves as it was."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from processes import run

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.cli import main
from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.write import changed, save

FILE = """# mine
[sampling] # how
temperature = 0.5   # cool
# a thought
top-k = 5

[keys]
"turn.stop" = "escape"

[profile.calm]
temperature = 0.1
"""


def write(text: str) -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_path_is_where_the_file_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{config_file()}\n"


def test_show_is_toml_that_says_the_same(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(FILE)
    monkeypatch.setenv("QWEN3_CHAT_SYSTEM", 'Be "brief".\n')
    assert main(["config", "show"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"# {path}\n# profiles: calm; this is with none\n")
    again = tomllib.loads(told)
    assert again["chat"] == {"system": 'Be "brief".\n', "save": True}
    assert again["sampling"] == {"temperature": 0.5, "top-k": 5}
    assert again["keys"] == {"turn.stop": ["escape"]}
    assert "# config.toml:3\n" in told
    assert "# QWEN3_CHAT_SYSTEM\n" in told
    assert Config.parse(told, path).values["temperature"].value == 0.5
    assert main(["config", "show", "--json", "--profile", "calm"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["settings"]["temperature"] == {"value": 0.1, "from": "profile calm, config.toml:11"}


def test_a_wrong_file_ends_every_command_that_reads_it_with_one_line() -> None:
    path = write("[sampling]\ntemperature = 11\n")
    for arguments in (["config", "show"], ["-p", "Hi"], ["--plain"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert done.stderr == f"qwen3-chat: {path}:2: [sampling] temperature: expected a number from 0 to 10, not 11\n"


def test_changes_keep_order_and_comments() -> None:
    written = changed(FILE, {"temperature": 0.25, "top-k": None, "seed": 3, "theme": "light"})
    expected = FILE.replace("0.5   # cool", "0.25   # cool").replace("top-k = 5", "seed = 3")
    assert written == expected + '\n[screen]\ntheme = "light"\n'


def test_changes_of_a_profile_go_into_its_table() -> None:
    assert changed(FILE, {"temperature": 0.2, "think": False}, "calm") == FILE.replace("0.1", "0.2") + "think = false\n"
    assert changed(FILE, {"think": False}, "new") == FILE + "\n[profile.new]\nthink = false\n"
    assert changed(FILE, {"think": None}, "new") == FILE


def test_saving_makes_a_private_file_and_follows_links(tmp_path: Path) -> None:
    path = config_file()
    assert save(path, {"seed": 3}).values["seed"].value == 3
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("[sampling]\nseed = 3\n", 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    elsewhere = tmp_path / "dotfiles.toml"
    elsewhere.write_text(FILE)
    elsewhere.chmod(0o644)
    path.unlink()
    path.symlink_to(elsewhere)
    save(path, {"seed": 4})
    assert path.is_symlink()
    assert "seed = 4" in elsewhere.read_text()
    assert elsewhere.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in elsewhere.parent.iterdir()] == ["dotfiles.toml"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written: Not a directory"):
        save(tmp_path / "file" / "config.toml", {"seed": 3})
