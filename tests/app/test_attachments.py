"""Files that a message mentions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qwen3_chat.app.chat.attachments import LARGEST, attachments, mention, with_attachments
from qwen3_chat.app.chat.errors import AttachmentError


def test_a_file_stands_below_the_message_in_a_fence(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    sent = with_attachments("explain @a.py please", tmp_path)
    assert sent == "explain @a.py please\n\na.py:\n```py\nx = 1\n```"


def test_a_fence_is_longer_than_any_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("````\ncode\n````\n")
    assert "`````md\n````\ncode\n````\n`````" in with_attachments("@a.md", tmp_path)


@pytest.mark.parametrize(
    "text", ["see @a.txt.", "(see) @a.txt, then", '@"a.txt"', "@./a.txt", "@a.txt @a.txt @./a.txt"]
)
def test_how_a_file_is_mentioned(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A")
    assert [attachment.text for attachment in attachments(text, tmp_path)] == ["A"]


@pytest.mark.parametrize("text", ["me@a.txt", "@dataclass", "@ a.txt", "a @", "@none.txt", "@\0", "@~nobody-at-all/x"])
def test_what_is_no_mention(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A")
    assert with_attachments(text, tmp_path) == text


def test_blanks_in_a_name(tmp_path: Path) -> None:
    (tmp_path / "my file.txt").write_text("A")
    assert mention("my file.txt") == '@"my file.txt"'
    assert mention("a.txt") == "@a.txt"
    assert len(attachments(f"see {mention('my file.txt')}.", tmp_path)) == 1


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one")
    attachments("@a.txt", tmp_path)
    file.write_text("two, longer")
    assert attachments("@a.txt", tmp_path)[0].text == "two, longer"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a\0b", "is binary"), (b"caf\xe9", "is not UTF-8 text (byte 3 is 0xe9)"), (b"x" * (LARGEST + 1), "at most 0.5")],
)
def test_files_that_cannot_be_sent(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(AttachmentError, match="@file") as raised:
        attachments("@file", tmp_path)
    assert said in str(raised.value)


def test_a_folder_and_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(AttachmentError, match="is a folder"):
        attachments("@.", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AttachmentError, match="is no regular file"):
        attachments("@pipe", tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_someone_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(AttachmentError, match="cannot be read"):
        attachments("@secret", tmp_path)


def test_line_ends_and_marks_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert attachments("@a.txt", tmp_path)[0].text == "one\ntwo\n"
