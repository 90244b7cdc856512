"""The database of all chats: which there are, what is in them, and what is done with a chat as a whole."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.errors import HistoryError, OptionError
from qwen3_chat.app.chat.history import record
from qwen3_chat.app.chat.history.lock import ChatLocks
from qwen3_chat.app.chat.history.place import claim, database_path
from qwen3_chat.app.chat.history.schema import upgrade
from qwen3_chat.app.chat.history.words import match_query, query_words, searchable
from qwen3_chat.app.chat.trace import pack_ids

__all__ = ["ChatHit", "ChatLine", "ChatSummary", "SavedChat", "Store", "TitledBy"]

TitledBy = Literal["first line", "model", "person"]

PATIENCE_S = 5.0  # for a lock that another program holds; nobody holds one for longer than one small transaction
REMEMBER_S = 86_400.0  # a deleted chat that nobody took back or forgot, because its window was killed, goes after a day
SHORT_ID = 8  # characters of an id that people are shown

_MESSAGE = (
    "number, id, parent, next, role, content, thinking, state, facts, token_ids, logprobs, step_ns, tops, created"
)
_PARTS = ("content", "thinking", "token_ids", "logprobs", "step_ns", "tops")  # what a reply grows by


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """One line of the list of chats."""

    number: int
    id: str
    title: str
    titled_by: TitledBy
    system: str | None
    model: str | None  # the last one that replied
    created: float  # s since 1970
    updated: float
    messages: int  # of all branches

    @property
    def short_id(self) -> str:
        """As much of the id as one types."""
        return self.id[:SHORT_ID]


@dataclass(frozen=True, slots=True)
class ChatLine:
    """What the database has of a chat beside its messages."""

    title: str
    titled_by: TitledBy
    system: str | None
    model: str | None
    first: str | None  # the message that the active path begins with
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class ChatHit:
    """A chat that was searched for."""

    chat: ChatSummary
    content: str  # of the message that fits best; "" if only the title fits


@dataclass(frozen=True, slots=True)
class SavedChat:
    """A chat with everything in it."""

    summary: ChatSummary
    conversation: Conversation
    numbers: dict[str, int]  # message id -> its row


class Store:
    """One open database. Of one thread; as many programs as like may have the same file open.

    Everything raises HistoryError if the file cannot be read or written (any more).
    """

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        """Open the file (default: where chats belong), make it or bring it up to date, and mark interrupted replies."""
        self.path = path or database_path()
        self.now = now
        claim(self.path)
        self.locks = ChatLocks(self.path.with_suffix(".lock"))
        try:
            self._db = self._connect()
        except BaseException:
            self.locks.close()
            raise
        try:
            self._tidy()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        with self._errors():
            db = sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None)
            try:
                db.row_factory = sqlite3.Row
                upgrade(db, self.path)
                db.execute("PRAGMA journal_mode = WAL")
                # A killed program loses nothing with NORMAL; only a power cut can take the last moments.
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")
            except BaseException:
                db.close()
                raise
            return db

    def close(self) -> None:
        """Let go of the file and of every chat."""
        self._db.close()
        self.locks.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = "; move it away to begin a new one" if _damaged(error) else ""
            raise HistoryError(f"{self.path}: {error}{hint}") from error

    @contextmanager
    def writing(self, patience_s: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it, or nothing. Waits so long for another program that writes just now."""
        with self._errors():
            self._db.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._errors():
            return self._db.execute(query, values).fetchall()

    # Which chats there are

    def chats(self) -> list[ChatSummary]:
        """All of them, the one used last first."""
        return self._summaries("deleted IS NULL ORDER BY updated DESC, number DESC")

    def latest(self) -> ChatSummary | None:
        """The chat used last of those that no other window has open."""
        return next((chat for chat in self.chats() if not self.locks.taken_elsewhere(chat.number)), None)

    def chat(self, chat_id: str) -> ChatSummary:
        """The chat with exactly this id, deleted or not. Raises KeyError."""
        for found in self._summaries("id = ?", chat_id):
            return found
        raise KeyError(chat_id)

    def has(self, chat_id: str) -> bool:
        """Whether there is a chat with this id, deleted or not."""
        return bool(self._rows("SELECT 1 FROM chats WHERE id = ?", chat_id))

    def find(self, prefix: str, flag: str) -> ChatSummary:
        """The one chat whose id begins so. Raises OptionError, which names the flag and what it could have meant."""
        all_chats = self.chats()
        found = [chat for chat in all_chats if prefix and chat.id.startswith(prefix.strip().lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise OptionError(f"{flag}: {prefix!r} could be {_candidates(found)}")
        if not all_chats:
            raise OptionError(f"{flag}: there is no saved chat")
        raise OptionError(f"{flag}: no chat has an id that begins with {prefix!r}; there is {_candidates(all_chats)}")

    def search(self, text: str) -> list[ChatHit]:
        """Chats with a message, or a title, that has all these words; the best first. No words: all chats."""
        match = match_query(text)
        if match is None:
            return [ChatHit(chat, "") for chat in self.chats()]
        chats = {chat.number: chat for chat in self.chats()}
        hits: dict[int, ChatHit] = {}
        words = [word.casefold() for word in query_words(text)]
        for number, chat in chats.items():
            if all(word in chat.title.casefold() for word in words):
                hits[number] = ChatHit(chat, "")
        for row in self._rows(
            "SELECT messages.chat, messages.content FROM search JOIN messages ON messages.number = search.rowid "
            "WHERE search MATCH ? ORDER BY rank",
            match,
        ):
            number = row["chat"]
            if number in chats and not (number in hits and hits[number].content):
                hits[number] = ChatHit(chats[number], row["content"])
        return list(hits.values())

    def _summaries(self, condition: str, *values: object) -> list[ChatSummary]:
        rows = self._rows(
            "SELECT number, id, title, titled_by, system, model, created, updated, "
            f"(SELECT count(*) FROM messages WHERE chat = chats.number) AS messages FROM chats WHERE {condition}",
            *values,
        )
        return [ChatSummary(**dict(row)) for row in rows]

    # What is in them

    def load(self, chat_id: str) -> SavedChat:
        """A chat with all its branches. A reply that another program writes just now has what it has saved of it."""
        summary = self.chat(chat_id)
        with self._errors():
            self._db.execute("BEGIN")  # messages and pieces of one moment
            try:
                (first,) = self._db.execute("SELECT first FROM chats WHERE number = ?", (summary.number,)).fetchone()
                rows = self._rows(f"SELECT {_MESSAGE} FROM messages WHERE chat = ? ORDER BY number", summary.number)
                grown = [dict(row) | self._pieces(row) for row in rows]
            finally:
                self._db.execute("ROLLBACK")
        try:
            messages = [record.message_of_row(row) for row in grown]
            active = {row["id"]: row["next"] for row in rows}
            conversation = Conversation.restore(summary.system, messages, {None: first} | active)
            return SavedChat(summary, conversation, {row["id"]: row["number"] for row in rows})
        except record.DAMAGED as error:
            raise HistoryError(f"{self.path}: chat {summary.short_id} is damaged: {error}") from error

    def _pieces(self, row: sqlite3.Row) -> dict[str, Any]:
        """The parts of a message with what its reply has grown by since it was written."""
        pieces = self._rows(f"SELECT {', '.join(_PARTS)} FROM pieces WHERE message = ? ORDER BY number", row["number"])
        if not pieces:
            return {}
        return {part: row[part][:0].join([row[part], *(piece[part] for piece in pieces)]) for part in _PARTS}

    # What is written

    def put_chat(self, db: sqlite3.Connection, chat_id: str, line: ChatLine) -> int:
        """Write the line of a chat, inside `writing`. Its number."""
        values = {
            name: record.storable(value) if isinstance(value, str) else value for name, value in asdict(line).items()
        }
        names = ", ".join(values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        ((number,),) = db.execute(
            f"INSERT INTO chats (id, {names}) VALUES (?{', ?' * len(values)}) "
            f"ON CONFLICT (id) DO UPDATE SET {updates} RETURNING number",
            (chat_id, *values.values()),
        ).fetchall()
        return int(number)

    def put_message(self, db: sqlite3.Connection, chat: int, message: Message, after: str | None) -> int:
        """Write a message whole, inside `writing`; `after` is what the path takes behind it. Its number."""
        ((number,),) = db.execute(
            "INSERT INTO messages (chat, id, parent, next, role, content, thinking, state, facts, token_ids, logprobs, "
            "step_ns, tops, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (chat, id) DO UPDATE SET next = excluded.next, content = excluded.content, "
            "thinking = excluded.thinking, state = excluded.state, facts = excluded.facts, "
            "token_ids = excluded.token_ids, logprobs = excluded.logprobs, step_ns = excluded.step_ns, "
            "tops = excluded.tops RETURNING number",
            (
                chat, message.id, message.parent, after, message.role, record.storable(message.content),
                record.storable(message.thinking), message.state, json.dumps(record.facts_of(message)),
                pack_ids(message.token_ids), *message.trace.pack(), message.created,
            ),
        ).fetchall()  # fmt: skip
        db.execute("DELETE FROM pieces WHERE message = ?", (number,))
        db.execute("DELETE FROM search WHERE rowid = ?", (number,))
        if message.state != "streaming":
            words = searchable(record.storable(message.content))
            db.execute("INSERT INTO search (rowid, words) VALUES (?, ?)", (number, words))
        return int(number)

    def put_piece(self, db: sqlite3.Connection, message: int, parts: Sequence[str | bytes]) -> None:
        """Write what a streaming reply has grown by (content, thinking, token_ids, logprobs, step_ns, tops)."""
        db.execute(f"INSERT INTO pieces (message, {', '.join(_PARTS)}) VALUES (?, ?, ?, ?, ?, ?, ?)", (message, *parts))

    # What is done with a chat as a whole

    def rename(self, chat_id: str, title: str, titled_by: TitledBy = "person") -> None:
        """Give it a title."""
        with self.writing() as db:
            db.execute("UPDATE chats SET title = ?, titled_by = ? WHERE id = ?", (title, titled_by, chat_id))

    def delete(self, chat_id: str) -> None:
        """Hide it, until `undelete` or `forget`."""
        self._check_free(self.chat(chat_id))
        with self.writing() as db:
            db.execute("UPDATE chats SET deleted = ? WHERE id = ?", (self.now(), chat_id))

    def undelete(self, chat_id: str) -> None:
        """Have it back."""
        with self.writing() as db:
            db.execute("UPDATE chats SET deleted = NULL WHERE id = ?", (chat_id,))

    def forget(self, chat_id: str) -> None:
        """Remove it, and all that is in it, for good."""
        self._check_free(self.chat(chat_id))
        with self.writing() as db:
            db.execute("DELETE FROM chats WHERE id = ?", (chat_id,))

    def _check_free(self, chat: ChatSummary) -> None:
        if self.locks.taken_elsewhere(chat.number):
            raise HistoryError(f"chat {chat.short_id} is open in another window; close it there first")

    def _tidy(self) -> None:
        """Mark what killed programs were writing, and forget what was deleted long ago."""
        for row in self._rows("SELECT DISTINCT chat FROM messages WHERE state = 'streaming'"):
            if self.locks.take(row["chat"]):
                try:
                    self.interrupt(row["chat"])
                finally:
                    self.locks.release(row["chat"])
        for row in self._rows("SELECT number, id FROM chats WHERE deleted < ?", self.now() - REMEMBER_S):
            if not self.locks.taken_elsewhere(row["number"]):
                self.forget(row["id"])

    def interrupt(self, chat: int) -> None:
        """Mark replies of this chat that nobody finished. Only for a chat whose lock one has just taken."""
        query = f"SELECT {_MESSAGE} FROM messages WHERE chat = ? AND state = 'streaming'"
        with self.writing() as db:
            for row in db.execute(query, (chat,)).fetchall():
                try:
                    message = record.message_of_row(dict(row) | self._pieces(row))
                except record.DAMAGED as error:
                    raise HistoryError(f"{self.path}: message {row['id']} is damaged: {error}") from error
                record.interrupt(message)
                self.put_message(db, chat, message, row["next"])


def _candidates(chats: Sequence[ChatSummary], most: int = 4) -> str:
    named = [f"{chat.short_id} ({chat.title[:24]})" for chat in chats[:most]]
    more = [f"{len(chats) - most} more"] if len(chats) > most else []
    return ", ".join([*named, *more])


def _damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, and not only busy or out of room."""
    return not isinstance(error, sqlite3.OperationalError)
