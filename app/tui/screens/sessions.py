"""The saved chats: search as one types, open, rename, delete and take that back, export."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, cast

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual import on
from textual.binding import BindingType
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import FORMATS, ChatHit, ChatSummary, ExportFormat, History, export, file_name, snippet
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.screens.filtered_list import FilteredList

Mode = Literal["search", "rename", "export"]

_PAUSE_S = 0.1  # after the last key, before the search
_MOST = 100  # chats in the list, so that it follows the keys; a search finds the others
_HINTS = ("rename", "delete", "undo", "export")
_SNIPPET = 200  # characters; the list cuts them to its width


class SessionsScreen(FilteredList["ChatSummary | None"]):
    """Dismissed with the chat to open. The line at the top is for the search, and for a new title or a file's name."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("sessions")]
    HEADING = "Saved chats"
    PLACEHOLDER = "search in what was said"

    def __init__(self, history: History, keymap: Keymap) -> None:
        super().__init__()
        self._history = history
        self._keymap = keymap
        self._hits: list[ChatHit] = []
        self._found = 0  # chats, also those that are not in the list
        self._mode: Mode = "search"
        self._searched = ""  # what the list shows, while the line is used otherwise
        self._waiting: Timer | None = None

    def on_mount(self) -> None:
        """All chats, the newest first."""
        self._look()

    @property
    def _chosen(self) -> ChatSummary | None:
        place = self.listed.highlighted
        return self._hits[place].chat if place is not None and place < len(self._hits) else None

    # The list

    def _look(self, keep: str | None = None) -> None:
        """Fill the list with what the search finds, and highlight the chat with the id `keep`, else the first."""
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        try:
            found = self._history.store.search(self._searched)
        except HistoryError as error:
            self.tell(str(error))
            return
        self._hits, self._found = found[:_MOST], len(found)
        listed = self.listed
        listed.clear_options()
        listed.add_options(self._option(hit) for hit in self._hits)
        place = next((place for place, hit in enumerate(self._hits) if hit.chat.id == keep), 0)
        listed.highlighted = place if self._hits else None
        self.tell(self._summary())

    def _option(self, hit: ChatHit) -> Option:
        palette, chat = Palette.of(self.app), hit.chat
        muted = Style(color=palette.muted)
        row = Table.grid(expand=True, padding=(0, 1))
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_column(justify="right", no_wrap=True)
        current = self._history.current
        title = Text(clean(" ".join(chat.title.split())) or "untitled", no_wrap=True, overflow="ellipsis")
        if current is not None and current.chat_id == chat.id:
            title = Text("● ", Style(color=palette.accent)).append_text(title)
        elif self._history.store.locks.taken_elsewhere(chat.number):
            title = Text("○ ", muted).append_text(title).append("  open in another window", muted)
        facts = f"{chat.messages} msg · {format.age(chat.updated, self._history.store.now())}"
        row.add_row(title, Text(facts, muted))
        if not hit.content:
            return Option(row)
        found = clean(snippet(hit.content, self._searched, _SNIPPET))
        return Option(Group(row, Text(f"  {found}", muted, no_wrap=True, overflow="ellipsis")))

    def _summary(self) -> str:
        if not self._hits:
            return "nothing was found" if self._searched else "no chat has been saved yet"
        more = f"   the first {_MOST} of {self._found}" if self._found > _MOST else ""
        keys = [(self._keymap.shown(f"sessions.{what}"), what) for what in _HINTS]
        return "  ".join(f"{key} {what}" for key, what in [("⏎", "open"), *keys, ("esc", "back")] if key) + more

    # The line

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if self._mode != "search" or event.value == self._searched:
            return
        self._searched = event.value
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(_PAUSE_S, self._look)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        chat = self._chosen
        mode, text = self._mode, event.value.strip()
        if mode == "search":
            if self._waiting is not None:  # what was typed last has not been looked for
                self._look()
                chat = self._chosen
            if chat is not None:
                self.dismiss(chat)
            return
        self._use_line("search", self._searched)
        if chat is None or not text:
            return
        if mode == "rename":
            self._do(lambda: self._history.rename(chat.id, text), f"renamed to {text}", chat.id)
        else:
            self._do(lambda: self._write(chat, Path(text).expanduser()), f"written to {text}", chat.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if self._mode == "search":
            self.dismiss(self._hits[event.option_index].chat)

    def _use_line(self, mode: Mode, text: str) -> None:
        self._mode = mode
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)
        self.query_one("#mode", Static).update({"search": "❯ ", "rename": "Title: ", "export": "Write to: "}[mode])
        self.tell(self._summary() if mode == "search" else "⏎ does it  esc leaves it")

    def action_back(self) -> None:
        """Leave the line's other use, then the search, then the screen."""
        if self._mode != "search":
            self._use_line("search", self._searched)
        elif self._searched:
            self.query_one(Input).value = ""
        else:
            self.dismiss(None)

    # What is done with a chat

    def _do(self, action: object, done: str, keep: str | None) -> None:
        assert callable(action)
        try:
            action()
        except (HistoryError, OSError) as error:
            self.tell(f"✗ {error}")
            return
        self._look(keep)
        self.tell(done)

    def action_sessions_rename(self) -> None:
        """Edit the title in the line."""
        if (chat := self._chosen) is not None:
            self._use_line("rename", chat.title)

    def action_sessions_delete(self) -> None:
        """Delete the chat; undo brings it back as long as the window is open."""
        chat, place = self._chosen, self.listed.highlighted or 0
        if chat is None or self._mode != "search":
            return
        after = [hit.chat.id for hit in self._hits[place + 1 :] or self._hits[:place][-1:]]
        undo = self._keymap.shown("sessions.undo")
        back = f"{undo} takes it back" if undo else "deleted"
        self._do(lambda: self._history.delete(chat.id), f"{back}: {chat.title}", next(iter(after), None))

    def action_sessions_undo(self) -> None:
        """Have the chat back that was deleted last."""
        try:
            back = self._history.undelete()
        except HistoryError as error:
            self.tell(f"✗ {error}")
            return
        if back is None:
            self.tell("nothing was deleted in this window")
        else:
            self._look(back)
            self.tell("it is back")

    def action_sessions_export(self) -> None:
        """Ask for a file; its ending says the format."""
        if (chat := self._chosen) is not None:
            self._use_line("export", str(Path.cwd() / file_name(chat, "md")))

    def _write(self, chat: ChatSummary, path: Path) -> None:
        ending = path.suffix[1:]
        if ending not in FORMATS:
            raise HistoryError(f"{path.name}: expected a name that ends in .{', .'.join(FORMATS)}")
        text = export(self._history.store.load(chat.id), cast(ExportFormat, ending))
        with path.open("x", encoding="utf-8") as file:  # nothing is overwritten
            file.write(text)
