"""What is done with saved chats, and what a front begins with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from chats import save, talk

from qwen3_chat.app.chat.errors import HistoryError, OptionError
from qwen3_chat.app.chat.history import ChatSummary, History, Store, open_chat
from qwen3_chat.app.chat.history.store import ChatLine
from qwen3_chat.app.chat.options import ChatOptions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


def test_the_last_used_chat_comes_first(history: History) -> None:
    first, second = save(history, "first"), save(history, "second")
    assert [chat.id for chat in history.store.chats()] == [second, first]
    conversation = history.open(history.store.chat(first))
    history.save(conversation)
    assert history.store.chats()[0].id == second  # to look at it is not to use it
    conversation.add_user("more")
    history.save(conversation)
    assert history.store.chats()[0].id == first


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("rotary", ["b"]), ("ROTARY dim", ["b"]), ("rotary zebra", []), ("旋转", ["c"]), ("转编", ["c"]), ("转旋", []),
        ("café", ["a"]), ("cafe", ["a"]), ("caf", ["a"]), ("afé", []), ('"quoted"', ["a"]), ("AND", ["a"]),
        ("a*", ["a", "b", "c"]), ("...", ["c", "b", "a"]), ("", ["c", "b", "a"]), ("x\0y", []), ("naïve title", ["a"]),
    ],
)  # fmt: skip
def test_search(history: History, words: str, found: list[str]) -> None:
    ids = {
        save(history, "A café", 'and "quoted" text'): "a",
        save(history, "Why pairs?", "Rotary position codes turn dimensions in pairs, a trick."): "b",
        save(history, "什么是旋转编码？", "A rotation."): "c",
    }
    history.rename(next(iter(ids)), "Naïve title")
    hits = [ids[hit.chat.id] for hit in history.store.search(words)]
    assert sorted(hits) == sorted(found) if "*" in words else hits == found


def test_what_is_deleted_is_not_found_and_can_be_had_back(path: Path) -> None:
    with History(Store(path)) as history:
        kept, gone = save(history, "keep this word"), save(history, "drop this word")
        history.save(talk("another"))
        history.delete(gone)
        assert [hit.chat.id for hit in history.store.search("word")] == [kept]
        assert history.undelete() == gone
        assert history.undelete() is None
        assert len(history.store.search("word")) == 2
        history.delete(gone)
    with Store(path) as store:
        assert not store.has(gone)
        assert len(store.chats()) == 2
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM search").fetchone() == (2,)
    assert b"drop this word" not in path.read_bytes()
    db.close()


def test_what_a_killed_window_had_deleted_goes_after_a_day(path: Path) -> None:
    now = 1000.0
    with History(Store(path, now=lambda: now)) as history:
        gone = save(history, "gone")
    with Store(path, now=lambda: now) as store:
        store.delete(gone)
    for now, left in ((2000.0, True), (1000.0 + 86_401.0, False)):
        with Store(path, now=lambda now=now: now) as store:
            assert store.has(gone) is left


def test_a_title_is_the_first_line_until_somebody_finds_another(history: History) -> None:
    conversation = talk("\n  What is\ta\n monad?", "A burrito.")
    history.save(conversation)
    (chat,) = history.store.chats()
    assert (chat.title, chat.titled_by) == ("What is a", "first line")
    history.rename(chat.id, "Monads")
    conversation.add_user("Really?")
    history.save(conversation)
    (chat,) = history.store.chats()
    assert (chat.title, chat.titled_by, chat.messages) == ("Monads", "person", 3)


def test_an_id_may_be_cut_short(history: History) -> None:
    with pytest.raises(OptionError, match="-r: there is no saved chat"):
        history.store.find("abc", "-r")
    with history.store.writing() as db:
        for age, (start, title) in enumerate((("abc", "first"), ("abd", "second"), ("fff", "third"))):
            line = ChatLine(title, "person", None, None, None, created=age, updated=age)
            history.store.put_chat(db, f"{start:0<32}", line)
    assert history.store.find("ABC", "-r").title == "first"
    assert history.store.find("fff" + "0" * 29, "-r").title == "third"
    with pytest.raises(OptionError, match=r"-r: 'ab' could be abd00000 \(second\), abc00000 \(first\)"):
        history.store.find("ab", "-r")
    for unknown in ("e", ""):
        with pytest.raises(OptionError, match=r"begins with '.?'; there is fff00000 \(third\), abd"):
            history.store.find(unknown, "-r")


# What a front begins with


def options(**values: object) -> ChatOptions:
    return ChatOptions(model=Path("scripted"), **values)  # type: ignore[arg-type]


def saved_chat() -> ChatSummary:
    with History(Store()) as history:
        history.save(talk("Hi", "Hello", system="Be brief."))
        return history.store.chats()[0]


def test_c_goes_on_with_the_last_chat() -> None:
    with pytest.raises(OptionError, match="-c: there is no saved chat"):
        open_chat(options(continue_last=True))
    saved_chat()
    opened = open_chat(options(continue_last=True))
    assert [message.content for message in opened.conversation.path()] == ["Hi", "Hello"]
    assert opened.conversation.system == "Be brief."
    assert opened.history is not None
    opened.conversation.add_user("more")
    opened.history.save(opened.conversation)
    assert [chat.messages for chat in opened.history.store.chats()] == [3]
    for flags in ({"continue_last": True}, {"resume": opened.history.store.chats()[0].short_id}):
        with pytest.raises(OptionError, match=r"argument -[cr]: chat .* \(Hi\) is open in another window"):
            open_chat(options(**flags))
        assert len(open_chat(options(save=False, **flags)).conversation.path()) == 3  # a look at it
    opened.history.close()


def test_another_system_prompt_replaces_the_chat_s() -> None:
    chat = saved_chat()
    opened = open_chat(options(resume=chat.short_id, system="Be long."))
    assert opened.conversation.system == "Be long."
    assert opened.history is not None
    opened.history.close()


def test_no_save_keeps_nothing(data_home: Path) -> None:
    opened = open_chat(options(save=False))
    assert (opened.history, opened.problem) == (None, None)
    assert list(data_home.iterdir()) == []
    chat = saved_chat()
    opened = open_chat(options(save=False, resume=chat.id))
    assert opened.history is None
    assert len(opened.conversation.path()) == 2


def test_a_history_that_cannot_be_opened_is_no_reason_to_be_silent(data_home: Path) -> None:
    (data_home / "qwen3-chat").mkdir()
    (data_home / "qwen3-chat" / "chats.db").write_bytes(b"no database" * 100)
    opened = open_chat(options())
    assert opened.history is None
    assert "not a database" in str(opened.problem)
    with pytest.raises(HistoryError, match="not a database"):
        open_chat(options(continue_last=True))
