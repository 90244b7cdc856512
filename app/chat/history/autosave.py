"""Keeps one conversation saved: what is new is found by comparing, so that no way to change a chat can forget to save.

A save costs what has changed. A growing reply is written by what it grew by, and joined when it ends.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import record
from qwen3_chat.app.chat.history.store import ChatLine, SavedChat, Store, TitledBy
from qwen3_chat.app.chat.history.titles import first_line
from qwen3_chat.app.chat.trace import TokenTrace, pack_ids

__all__ = ["Autosave"]


@dataclass(frozen=True, slots=True)
class _Written:
    """What the database has of a message."""

    number: int
    facts: tuple[Any, ...]
    content: str
    thinking: str
    tokens: int
    rows: int  # of the trace
    trace: TokenTrace  # another one tells of the same tokens anew
    streaming: bool


class Autosave:
    """One conversation on its way into the store, from its first message to `close`. Its chat is locked meanwhile."""

    def __init__(self, store: Store, conversation: Conversation, saved: SavedChat | None = None) -> None:
        """`saved`: what `conversation` was loaded from, just now and locked; None: a chat that begins."""
        self.conversation = conversation
        self.problem: str | None = None  # why the last save failed; the next one writes what it should have
        self._store = store
        self._title: tuple[str, TitledBy] | None = None
        self._line: ChatLine | None = None
        self._written: dict[str, _Written] = {}
        self._number: int | None = None
        self._created = store.now()
        self.chat_id = uuid.uuid4().hex
        if saved is not None:
            chat = saved.summary
            self.chat_id, self._number, self._created = chat.id, chat.number, chat.created
            self._title = (chat.title, chat.titled_by)
            self._line = self._new_line(chat.updated)
            for message in conversation.messages():
                self._written[message.id] = self._snapshot(saved.numbers[message.id], message)

    @property
    def title(self) -> str:
        """What it is called; "" before anything was said."""
        return self._entitled()[0]

    @property
    def titled_by(self) -> TitledBy:
        """Who has found that title."""
        return self._entitled()[1]

    @property
    def streaming(self) -> bool:
        """A reply is being written."""
        return any(message.state == "streaming" for message in self.conversation.messages())

    def entitle(self, title: str, by: TitledBy) -> None:
        """Give the chat a title; the next save writes it."""
        self._title = (title, by)

    def save(self, patience_s: float) -> bool:
        """Write what is new; False, and `problem` says why, if that cannot be done. An empty chat is not written.

        Waits no longer than that for another program that writes just now.
        """
        try:
            if self.conversation.messages():
                self._save(patience_s)
        except HistoryError as error:
            self.problem = str(error)
            return False
        self.problem = None
        return True

    def close(self, patience_s: float) -> bool:
        """The last save; once that is done, others may open the chat."""
        saved = self.save(patience_s)
        if saved and self._number is not None:
            self._store.locks.release(self._number)
        return saved

    def _save(self, patience_s: float) -> None:
        changed = [message for message in self.conversation.messages() if self._differs(message)]
        line = self._new_line(self._store.now() if changed or self._line is None else self._line.updated)
        if not changed and line == self._line:
            return
        number, new = self._number, self._number is None
        written: dict[str, _Written] = {}
        try:
            with self._store.writing(patience_s) as db:
                if number is None or line != self._line:
                    number = self._store.put_chat(db, self.chat_id, line)
                if new and not self._store.locks.take(number):  # before anybody can see it
                    raise HistoryError(f"{self._store.path}: chat number {number} is in use")
                for message in changed:
                    after = self.conversation.next_of(message.id)
                    row = self._put_growth(db, message) or self._store.put_message(db, number, message, after)
                    written[message.id] = self._snapshot(row, message)
        except BaseException:
            if new and number is not None and self._store.locks.holds(number):
                self._store.locks.release(number)
            raise
        self._number, self._line = number, line
        self._written |= written

    def _put_growth(self, db: Any, message: Message) -> int | None:
        """Write only what a streaming reply grew by, if that is all that is new. Its number then."""
        old = self._written.get(message.id)
        if old is None or not old.streaming or old.facts != self._facts(message):
            return None
        if not (message.content.startswith(old.content) and message.thinking.startswith(old.thinking)):
            return None
        self._store.put_piece(
            db,
            old.number,
            (
                record.storable(message.content[len(old.content) :]),
                record.storable(message.thinking[len(old.thinking) :]),
                pack_ids(message.token_ids[old.tokens :]),
                *message.trace.pack(old.rows),
            ),
        )
        return old.number

    def _differs(self, message: Message) -> bool:
        old = self._written.get(message.id)
        return old is None or old != self._snapshot(old.number, message)

    def _snapshot(self, number: int, message: Message) -> _Written:
        return _Written(
            number,
            self._facts(message),
            message.content,
            message.thinking,
            len(message.token_ids),
            len(message.trace),
            message.trace,
            message.state == "streaming",
        )

    def _facts(self, message: Message) -> tuple[Any, ...]:
        return (message.state, self.conversation.next_of(message.id), *record.fact_values(message))

    def _entitled(self) -> tuple[str, TitledBy]:
        if self._title is not None:
            return self._title
        path = self.conversation.path()
        return first_line(path[0].content if path else ""), "first line"

    def _new_line(self, updated: float) -> ChatLine:
        title, titled_by = self._entitled()
        conversation = self.conversation
        models = [message.model for message in conversation.path() if message.model is not None]
        return ChatLine(
            title=title,
            titled_by=titled_by,
            system=conversation.system,
            model=models[-1] if models else None,
            first=conversation.next_of(None),
            created=self._created,
            updated=updated,
        )
