from __future__ import annotations

import os
from pathlib import Path

import pytest

from qwen3_chat.models.errors import CheckpointError, ConfigError
from qwen3_chat.models.files import (
    MAX_BYTES,
    checkpoint_folder,
    describe,
    file_exists,
    parse_json,
    read_json,
    read_text,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("{", "line 1, column"),
        ("[1]", "holds [1], expected a JSON object"),
        ("null", "holds null"),
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ('{"b": {"a": 1, "c": 0, "a": 1}}', "'a' appears twice"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": [Infinity]}', "Infinity is not"),
        ('{"a": -Infinity}', "-Infinity is not"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 10_000 + "}", "not valid JSON"),
    ],
)
def test_json_that_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_json(text, "the file", ConfigError)
    assert str(caught.value).startswith("the file: ") and words in str(caught.value)


def test_json_that_is_read() -> None:
    assert parse_json('{"a": {"a": [1, 2.5, null, true, "ü"]}}', "f", ConfigError) == {
        "a": {"a": [1, 2.5, None, True, "ü"]}
    }


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_json(tmp_path / "absent.json", CheckpointError)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_text(tmp_path, CheckpointError)
    latin = tmp_path / "latin.json"
    latin.write_bytes('{"a": "é"}'.encode("latin-1"))
    with pytest.raises(CheckpointError, match="not UTF-8: byte 7 is 0xe9"):
        read_json(latin, CheckpointError)
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="larger than"):
        read_text(large, CheckpointError)


def test_folder(tmp_path: Path) -> None:
    assert checkpoint_folder(str(tmp_path)) == tmp_path
    with pytest.raises(CheckpointError, match="no such folder"):
        checkpoint_folder(tmp_path / "absent")
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(CheckpointError, match="is a file; name the folder"):
        checkpoint_folder(file)
    with pytest.raises(CheckpointError, match=r"no such folder|cannot be opened"):
        checkpoint_folder("with a \0 inside")
    with pytest.raises(CheckpointError, match=r"no such folder|cannot be opened"):
        checkpoint_folder("x" * 10_000)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        checkpoint_folder("~nobody-of-that-name/model")


def test_what_is_no_regular_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not file_exists(tmp_path / "absent", ConfigError)
    (tmp_path / "file").touch()
    assert file_exists(tmp_path / "file", ConfigError)
    (tmp_path / "link").symlink_to("blob")
    with pytest.raises(ConfigError, match="link: a link to blob, which is not there"):
        file_exists(tmp_path / "link", ConfigError)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="not a regular file"):
            file_exists(path, ConfigError)

    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(CheckpointError, match="file: cannot be read: Permission denied"):
        file_exists(tmp_path / "file", CheckpointError)


def test_describe_shortens() -> None:
    assert describe("a" * 100).endswith("…") and len(describe("a" * 100)) == 61
    assert describe({1, 2}) == "{1, 2}"
    assert describe(None) == "null"
