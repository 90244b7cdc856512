"""The database file: made, brought up to date from every earlier version, or refused without touching it."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from chats import talk

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import History, Store, schema

# Databases as earlier versions left them, written out: what a step once did must not change.
VERSION_1 = """
PRAGMA application_id = 1362314056;
CREATE TABLE chats (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, system TEXT, first TEXT,
    created REAL NOT NULL, updated REAL NOT NULL
);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY, chat INTEGER NOT NULL REFERENCES chats (number) ON DELETE CASCADE, id TEXT NOT NULL,
    parent TEXT, next TEXT, role TEXT NOT NULL, content TEXT NOT NULL, thinking TEXT NOT NULL, state TEXT NOT NULL,
    facts TEXT NOT NULL, token_ids BLOB NOT NULL, created REAL NOT NULL, UNIQUE (chat, id)
);
CREATE INDEX chats_by_age ON chats (updated);
CREATE INDEX messages_being_written ON messages (chat) WHERE state = 'streaming';
INSERT INTO chats VALUES (1, 'c1', 'Rotary', 'Be brief.', 'm1', 100.0, 200.0);
INSERT INTO messages VALUES (1, 1, 'm1', NULL, 'm3', 'user', 'Why 旋转?', '', 'complete', '{}', x'', 100.0);
INSERT INTO messages VALUES (2, 1, 'm2', 'm1', NULL, 'assistant', 'Old answer', '', 'complete',
    '{"seed": 7, "finish_reason": "stop"}', x'0100000002000000', 110.0);
INSERT INTO messages VALUES (3, 1, 'm3', 'm1', NULL, 'assistant', 'Half an ans', 'Hm.', 'streaming',
    '{"seed": 8}', x'03000000', 120.0);
PRAGMA user_version = 1;
"""
VERSION_2 = """
CREATE VIRTUAL TABLE search USING fts5 (words, tokenize = "unicode61 remove_diacritics 2");
CREATE TRIGGER messages_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM search WHERE rowid = old.number;
END;
ALTER TABLE chats ADD COLUMN titled_by TEXT NOT NULL DEFAULT 'first line';
ALTER TABLE chats ADD COLUMN model TEXT;
ALTER TABLE chats ADD COLUMN deleted REAL;
INSERT INTO search (rowid, words) VALUES (1, 'Why  旋  转 ?'), (2, 'Old answer');
UPDATE chats SET titled_by = 'person', model = 'Qwen3-0.6B';
PRAGMA user_version = 2;
"""
EARLIER = {1: VERSION_1, 2: VERSION_1 + VERSION_2}


def database(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    return path


def shape(path: Path) -> tuple[set[tuple[str, str]], int]:
    """Tables, columns, indexes and triggers; the version."""
    db = sqlite3.connect(path)
    things = {(name, "") for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}
    for table in ("chats", "messages", "pieces"):
        things |= {(table, row[1]) for row in db.execute(f"PRAGMA table_info({table})")}
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return things, version


def test_there_is_a_test_for_every_earlier_version() -> None:
    assert set(EARLIER) == set(range(1, schema.VERSION))


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_database_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = database(tmp_path / "chats.db", EARLIER[version])
    with Store(path) as store:
        (chat,) = store.chats()
        assert (chat.title, chat.system, chat.created, chat.updated, chat.messages) == (
            "Rotary", "Be brief.", 100.0, 200.0, 3,
        )  # fmt: skip
        assert (chat.titled_by, chat.model) == (("first line", None) if version == 1 else ("person", "Qwen3-0.6B"))
        conversation = store.load("c1").conversation
        question, reply = conversation.path()
        assert question.content == "Why 旋转?"
        assert (reply.state, reply.content, reply.thinking, reply.seed) == ("interrupted", "Half an ans", "Hm.", 8)
        assert (reply.token_ids, len(reply.trace)) == ([3], 0)
        old = conversation.message("m2")
        assert (old.token_ids, old.seed, old.finish_reason, old.created) == ([1, 2], 7, "stop", 110.0)
        for words in ("旋转", "old ans", "half an"):
            assert [hit.chat.id for hit in store.search(words)] == ["c1"], words
    with History(Store(path)) as history:
        conversation = history.open(chat)
        conversation.continue_()
        history.save(conversation)
    with Store(tmp_path / "new.db"):
        pass
    assert shape(path) == shape(tmp_path / "new.db")


def test_a_failed_upgrade_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "chats.db", VERSION_1)
    before = shape(path)

    def fails(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS[:2], fails))
    with pytest.raises(HistoryError, match="disk full"):
        Store(path)
    assert shape(path) == before
    monkeypatch.undo()
    with Store(path) as store:
        assert len(store.chats()) == 1


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "qwen3-chat" / "chats.db"
    with History(Store(path)) as history:
        history.save(talk("Hi"))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert {file.name for file in path.parent.iterdir()} >= {"chats.db", "chats.db-wal", "chats.lock"}


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = database(tmp_path / "chats.db", VERSION_1)
    path.chmod(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is no database, but long enough to be looked at" * 40, "not a database; move it away"),
        ("PRAGMA application_id = 1362314056; PRAGMA user_version = 99;", "written by a newer qwen3-chat .version 99"),
        ("CREATE TABLE other (a);", "database of another program"),
        ("PRAGMA user_version = 2;", "database of another program"),
    ],
)
def test_what_cannot_be_used_is_said_and_left_alone(tmp_path: Path, content: bytes | str, message: str) -> None:
    path = tmp_path / "chats.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        database(path, content)
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=message) as raised:
        Store(path)
    assert str(raised.value).startswith(str(path))
    assert path.read_bytes() == before


def test_a_damaged_database_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History(Store(path)) as history:
        for number in range(30):
            history.save(talk(f"question {number} " * 50, "answer " * 200))
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises(HistoryError, match=r"chats\.db: .*(malformed|damaged)"), Store(path) as store:
        for chat in store.chats():
            store.load(chat.id)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be saved there"):
        Store(tmp_path / "file" / "qwen3-chat" / "chats.db")


def test_sqlite_without_full_text_search_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "FTS5", "NOT_THERE")
    with pytest.raises(HistoryError, match="no full-text search"):
        Store(tmp_path / "chats.db")


@pytest.mark.parametrize("home", ["relative", "", None])
def test_a_relative_data_home_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    from qwen3_chat.app.chat.history.place import database_path

    monkeypatch.setenv("HOME", str(tmp_path))
    if home is None:
        monkeypatch.delenv("XDG_DATA_HOME")
    else:
        monkeypatch.setenv("XDG_DATA_HOME", home)
    assert database_path() == tmp_path / ".local" / "share" / "qwen3-chat" / "chats.db"
