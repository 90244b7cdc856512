"""The tables, and how a database of an earlier version becomes one of this version.

`user_version` counts the steps a database has taken. A step is never changed once it has been released: a new version
is a new step at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history.words import searchable

__all__ = ["APPLICATION_ID", "VERSION", "upgrade"]

APPLICATION_ID = 0x51334348  # "Q3CH", in the file's header
FTS5 = "ENABLE_FTS5"  # what SQLite must have been compiled with

# A chat's `first` and a message's `next` are the active path: the id of the message that comes behind.
_CHATS = """
CREATE TABLE chats (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- also the byte of its lock: never given twice
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    system TEXT,
    first TEXT,
    created REAL NOT NULL,  -- s since 1970, as every time here
    updated REAL NOT NULL
);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,  -- in the order in which they were made: parents first, siblings by age
    chat INTEGER NOT NULL REFERENCES chats (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    parent TEXT,  -- NULL: the first of the conversation
    next TEXT,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    thinking TEXT NOT NULL,
    state TEXT NOT NULL,
    facts TEXT NOT NULL,  -- JSON: everything about it that is short and never searched for
    token_ids BLOB NOT NULL,  -- u32
    created REAL NOT NULL,
    UNIQUE (chat, id)
);
CREATE INDEX chats_by_age ON chats (updated);
CREATE INDEX messages_being_written ON messages (chat) WHERE state = 'streaming';
"""

# The search table holds words as `searchable` cuts them, which SQL alone cannot: whoever writes a message writes here.
_SEARCH = """
CREATE VIRTUAL TABLE search USING fts5 (words, tokenize = "unicode61 remove_diacritics 2");
CREATE TRIGGER messages_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM search WHERE rowid = old.number;
END;
ALTER TABLE chats ADD COLUMN titled_by TEXT NOT NULL DEFAULT 'first line';  -- first line | model | person
ALTER TABLE chats ADD COLUMN model TEXT;  -- the last one that replied
ALTER TABLE chats ADD COLUMN deleted REAL;  -- hidden since then, and still to be had back
"""

# A reply that grows is not written again and again: what came is a new row, and all are joined when it ends.
_GROWTH = """
ALTER TABLE messages ADD COLUMN logprobs BLOB NOT NULL DEFAULT x'';  -- f32 a token
ALTER TABLE messages ADD COLUMN step_ns BLOB NOT NULL DEFAULT x'';  -- u64 a token
ALTER TABLE messages ADD COLUMN tops BLOB NOT NULL DEFAULT x'';  -- a token: u8 count, then (u32 id, f32 logprob) each
CREATE TABLE pieces (
    number INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE,
    content TEXT NOT NULL,
    thinking TEXT NOT NULL,
    token_ids BLOB NOT NULL,
    logprobs BLOB NOT NULL,
    step_ns BLOB NOT NULL,
    tops BLOB NOT NULL
);
CREATE INDEX pieces_by_message ON pieces (message, number);
"""


def _run(db: sqlite3.Connection, script: str) -> None:
    """Every statement of the script. `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def _tables(db: sqlite3.Connection) -> None:
    _run(db, _CHATS)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _search(db: sqlite3.Connection) -> None:
    _run(db, _SEARCH)
    for number, content in db.execute("SELECT number, content FROM messages").fetchall():
        db.execute("INSERT INTO search (rowid, words) VALUES (?, ?)", (number, searchable(content)))


def _growth(db: sqlite3.Connection) -> None:
    _run(db, _GROWTH)


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_tables, _search, _growth)
VERSION = len(STEPS)


def upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Bring the database to this version, in one transaction: all of it or nothing.

    Raises HistoryError for one that a newer program wrote, or that is no history of chats; sqlite3.Error otherwise.
    """
    if not db.execute("SELECT 1 FROM pragma_compile_options WHERE compile_options = ?", (FTS5,)).fetchone():
        raise HistoryError(f"{path}: this Python's SQLite has no full-text search (FTS5); chats cannot be saved")
    if _version(db, path) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(_version(db, path), len(STEPS)):  # asked again: another program may just have done it
            STEPS[step](db)
            db.execute(f"PRAGMA user_version = {step + 1}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (tables or version) and owner != APPLICATION_ID:
        raise HistoryError(f"{path}: is a database of another program; move it away to have chats saved")
    if version > VERSION:
        raise HistoryError(
            f"{path}: was written by a newer qwen3-chat (version {version}, this one reads up to {VERSION}); "
            "update qwen3-chat to open it"
        )
    return int(version)
