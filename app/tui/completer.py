"""What the text before the cursor can be completed to: a slash command, or the path of a file behind an `@`."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qwen3_chat.app.chat.attachments import mention
from qwen3_chat.app.chat.fuzzy import best, files_below
from qwen3_chat.app.tui.actions import ACTIONS, available

__all__ = ["Completer", "FileIndex", "Item", "Offer"]

_MOST = 50  # items
_COMMAND = re.compile(r"/([a-z_-]*)\Z")
_FILE = re.compile(r'(?<!\S)@(?:"([^"\n]*)|([^\s"]*))\Z')
_STALE_S = 10.0  # after which the files are listed anew


@dataclass(frozen=True, slots=True)
class Item:
    """One completion."""

    text: str  # stands where the offer's word stood
    label: str
    detail: str = ""
    goes_on: bool = False  # there is more to complete behind it: a folder
    sends: bool = False  # nothing can follow: it may be sent at once


@dataclass(frozen=True, slots=True)
class Offer:
    """The completions of one word."""

    word: str  # what is before the cursor, sign included
    items: tuple[Item, ...]


class FileIndex:
    """The files below a folder, listed by a thread: a large tree must not hold up the keyboard."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.names: list[str] | None = None  # None: not known yet
        self._clock = clock
        self._listed = float("-inf")
        self._thread: threading.Thread | None = None

    def refresh(self) -> None:
        """List anew if that was long ago. Returns at once."""
        listing = self._thread is not None and self._thread.is_alive()
        if not listing and self._clock() - self._listed > _STALE_S:
            self._listed = self._clock()
            self._thread = threading.Thread(target=self._list, name="file-index", daemon=True)
            self._thread.start()

    def _list(self) -> None:
        self.names = files_below(self.folder)


class Completer:
    """Knows the commands of the action list and the files of a folder."""

    def __init__(self, index: FileIndex, thinking_mode: Callable[[], str | None]) -> None:
        """`thinking_mode` of the checkpoint; None while it loads."""
        self.index = index
        self._thinking_mode = thinking_mode

    def offer(self, text: str) -> Offer | None:
        """Completions of what the text ends in; None if that is neither command nor file, or nothing fits."""
        if command := _COMMAND.match(text):
            return self._commands(command[1])
        if file := _FILE.search(text):
            return self._files(file[0], file[1] or file[2] or "")
        return None

    def _commands(self, typed: str) -> Offer | None:
        mode = self._thinking_mode()
        known = {action.slash: action for action in ACTIONS if action.slash and available(action, mode)}
        items = []
        for name in sorted(name for name in known if name.startswith(typed)):  # enter must not run what nobody typed
            action = known[name]
            takes = f" {action.argument}" if action.argument else ""
            follows = " " if action.argument else ""
            items.append(Item(f"/{name}{follows}", f"/{name}{takes}", action.title, sends=not action.argument))
        return Offer(f"/{typed}", tuple(items)) if items else None

    def _files(self, word: str, typed: str) -> Offer | None:
        if typed.startswith(("/", "~", ".")):
            items = self._folder_items(typed)
        else:
            self.index.refresh()
            names = best(typed, self.index.names or [], _MOST)
            items = [Item(f"{mention(name)} ", name) for name in names]
        return Offer(word, tuple(items)) if items else None

    def _folder_items(self, typed: str) -> list[Item]:
        """What is in the folder that has been typed so far, for paths that do not begin in the working folder."""
        parent, _, name = typed.rpartition("/")
        shown = f"{parent}/" if "/" in typed else ""
        if not shown and typed in ("~", ".", ".."):
            return [Item(f"@{typed}/", f"{typed}/", goes_on=True)]
        try:
            place = self.index.folder / Path(shown or ".").expanduser()
            entries = {entry.name: entry.is_dir() for entry in os.scandir(place)}
        except (OSError, RuntimeError):  # not there, not ours, or a user nobody knows
            return []
        wanted = [entry for entry in entries if not entry.startswith(".") or name.startswith(".")]
        items = []
        for entry in best(name, wanted, _MOST):
            path = f"{shown}{entry}"
            if entries[entry]:
                opened = mention(f"{path}/").removesuffix('"')  # the closing quote comes with the file
                items.append(Item(opened, f"{path}/", goes_on=True))
            else:
                items.append(Item(f"{mention(path)} ", path))
        return items
