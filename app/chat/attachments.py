"""Files that a message mentions as `@path`: found, read, checked, and put under the message in fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qwen3_chat.app.chat.code_blocks import fenced
from qwen3_chat.app.chat.errors import AttachmentError

__all__ = ["Attachment", "attachments", "mention", "with_attachments"]

LARGEST = 512 * 1024  # bytes; more than any context of today holds as text
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|(\S+))')
_PUNCTUATION = ".,;:!?)]}'\""  # may end a sentence right behind a path


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file as it will be sent."""

    name: str  # as mentioned
    text: str

    @property
    def block(self) -> str:
        """Its name, and its text in a fence."""
        return f"{self.name}:\n{fenced(self.text, Path(self.name).suffix.removeprefix('.'))}"


def mention(path: str) -> str:
    """How a path is mentioned."""
    return f'@"{path}"' if re.search(r"\s", path) else f"@{path}"


def attachments(text: str, folder: Path) -> list[Attachment]:
    """The files that the text mentions, each once. `folder` is where relative paths begin.

    What is no path of anything that exists is only text (`@dataclass`). Raises AttachmentError for what exists and
    cannot be attached: a folder, a file that is unreadable, too large or not text.
    """
    found: dict[Path, Attachment] = {}
    for name in _mentioned(text):
        path = _existing(name, folder)
        if path is not None and path not in found:
            found[path] = Attachment(name, _text(path, name))
    return list(found.values())


def with_attachments(text: str, folder: Path) -> str:
    """The text with the files it mentions below it. Raises AttachmentError."""
    return "\n\n".join([text, *(attachment.block for attachment in attachments(text, folder))])


def _mentioned(text: str) -> Iterator[str]:
    for quoted, bare in _MENTION.findall(text):
        yield quoted or bare
        if bare.rstrip(_PUNCTUATION) not in ("", bare):
            yield bare.rstrip(_PUNCTUATION)


def _existing(name: str, folder: Path) -> Path | None:
    try:
        path = (folder / Path(name).expanduser()).resolve()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # a name no file can have; a user who is unknown; a loop of links
        return None


def _text(path: Path, name: str) -> str:
    if path.is_dir():
        raise AttachmentError(f"@{name}: is a folder; mention the files that matter")
    if not path.is_file():
        raise AttachmentError(f"@{name}: is no regular file; save what it holds and attach that")
    try:
        state = path.stat()
        if state.st_size > LARGEST:
            size, most = state.st_size / 2**20, LARGEST / 2**20
            raise AttachmentError(f"@{name}: has {size:.1f} MiB, and at most {most:g} can be sent; attach a part of it")
        data = _read(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise AttachmentError(f"@{name}: cannot be read: {error.strerror}") from error
    if b"\0" in data:
        raise AttachmentError(f"@{name}: is binary; only text can be sent")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is 0x{data[error.start]:02x}"
        raise AttachmentError(f"@{name}: is not UTF-8 text ({what}); convert it first") from error


@lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int, size: int) -> bytes:
    """Read anew when the file has changed: the budget is counted again at every pause in typing."""
    return path.read_bytes()
