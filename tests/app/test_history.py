"""Chats that are saved while they go on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from chats import conversations, finish, grow, plain_values, save, talk
from hypothesis import given, settings

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.history import Autosave, History, Store
from qwen3_chat.app.chat.history.keeping import INTERVAL_S


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


def pieces(path: Path) -> int:
    db = sqlite3.connect(path)
    ((count,),) = db.execute("SELECT count(*) FROM pieces").fetchall()
    db.close()
    return int(count)


@settings(max_examples=60)
@given(conversations())
def test_what_is_saved_is_loaded(conversation: Conversation) -> None:
    with TemporaryDirectory() as folder, History(Store(Path(folder) / "chats.db")) as history:
        history.save(conversation)
        assert history.problem is None
        for chat in history.store.chats():
            assert plain_values(history.store.load(chat.id).conversation) == plain_values(conversation)
        assert len(history.store.chats()) == bool(conversation.messages())


def test_an_empty_chat_is_not_saved(history: History) -> None:
    history.save(Conversation("Be brief."))
    assert history.store.chats() == []


def test_every_change_of_a_chat_is_saved(history: History) -> None:
    conversation = talk("one", "1", "two", "2")
    changes = [
        lambda: conversation.add_user("three"),
        lambda: finish(conversation.begin_reply(), "3"),
        lambda: setattr(conversation.path()[0], "dropped", True),
        lambda: conversation.edit(conversation.path()[2].id, "zwei"),
        lambda: finish(conversation.begin_reply(), "2!"),
        lambda: conversation.sibling(conversation.path()[2].id, -1),
        lambda: conversation.branch(conversation.path()[1].id),
        lambda: finish(conversation.regenerate(), "eins"),
        lambda: setattr(conversation, "system", "Be long."),
        lambda: finish(conversation.continue_(), "eins und mehr"),
    ]
    history.save(conversation)
    assert history.current is not None
    for change in changes:
        before = plain_values(conversation)
        change()
        assert plain_values(conversation) != before
        history.save(conversation)
        saved = history.store.load(history.current.chat_id).conversation
        assert plain_values(saved) == plain_values(conversation)


def test_a_growing_reply_is_written_by_what_it_grew_by(history: History, path: Path) -> None:
    conversation = talk("Hi")
    reply = conversation.begin_reply()
    history.save(conversation)
    for n, text in enumerate(("Hel", "lo, ", "", "wörld"), 1):
        grow(reply, text, thinking="hm" if n == 1 else "")
        history.save(conversation)
        assert pieces(path) == n - (n > 2)  # one a save in which something came
        assert history.current is not None
        assert plain_values(history.store.load(history.current.chat_id).conversation) == plain_values(conversation)
    finish(reply, reply.content)
    history.save(conversation)
    assert pieces(path) == 0
    assert [hit.content for hit in history.store.search("wörld")] == ["Hello, wörld"]


def test_saves_are_not_closer_than_the_interval(path: Path) -> None:
    now = 0.0
    conversation = talk("Hi")
    with History(Store(path), clock=lambda: now) as history:
        for now in (0.0, 0.1, INTERVAL_S - 0.01, INTERVAL_S, INTERVAL_S + 0.1):
            conversation.add_user(f"at {now}")
            history.keep(conversation)
            saved = history.store.chats()[0].messages
            assert saved == (2 if now < INTERVAL_S else 5)


def test_the_last_save_of_a_reply_that_runs_marks_it_stopped(path: Path) -> None:
    conversation = talk("Hi")
    grow(conversation.begin_reply(), "Half")
    with History(Store(path)) as history:
        history.save(conversation)
    with Store(path) as store:
        reply = store.load(store.chats()[0].id).conversation.path()[-1]
    assert (reply.state, reply.content) == ("stopped", "Half")


def test_a_chat_that_was_left_is_saved_to_its_end(history: History) -> None:
    left = talk("Hi")
    reply = left.begin_reply()
    grow(reply, "Half")
    history.save(left)
    assert history.current is not None
    number = history.store.chats()[0].number
    history.save(talk("another"))
    finish(reply, "Half and whole")
    assert history.store.locks.holds(number)
    history.save(talk("a third"))
    assert not history.store.locks.holds(number)
    assert [hit.content for hit in history.store.search("whole")] == ["Half and whole"]


def test_a_save_that_must_wait_is_made_up_for(path: Path) -> None:
    conversation = talk("Hi")
    with History(Store(path)) as history:
        history.save(conversation)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        conversation.add_user("while the other writes")
        history.save(conversation, patience_s=0.0)
        assert history.problem is not None
        assert "locked" in history.problem
        other.execute("ROLLBACK")
        other.close()
        history.save(conversation)
        assert history.problem is None
        assert history.store.chats()[0].messages == 2


def test_the_first_save_may_fail_as_well(path: Path) -> None:
    conversation = talk("Hi")
    with History(Store(path)) as history:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        history.save(conversation, patience_s=0.0)
        assert history.problem is not None
        other.execute("ROLLBACK")
        other.close()
        history.save(conversation)
        (chat,) = history.store.chats()
        assert history.store.locks.holds(chat.number)


def test_two_programs_write_at_once(path: Path) -> None:
    """Each saves a chat of its own a hundred times; nothing is lost, and nobody fails."""
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from chats import talk\n"
        "from qwen3_chat.app.chat.history import History, Store\n"
        "with History(Store(Path(sys.argv[1]))) as history:\n"
        "    talk = talk('begin ' + sys.argv[3])\n"
        "    for n in range(100):\n"
        "        talk.add_user(f'{n}')\n"
        "        history.save(talk, patience_s=60.0)\n"
        "        assert history.problem is None, history.problem\n"
    )
    command = [sys.executable, "-c", program, str(path), str(Path(__file__).parent)]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("a", "b")]
    for writer in writers:
        _, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err
    with Store(path) as store:
        assert sorted((chat.title, chat.messages) for chat in store.chats()) == [("begin a", 101), ("begin b", 101)]


def test_half_a_surrogate_pair_does_not_stop_the_saving(history: History) -> None:
    save(history, "a\ud800b")
    (chat,) = history.store.chats()
    assert (chat.title, history.problem) == ("a?b", None)


def test_an_autosave_knows_what_was_loaded(history: History) -> None:
    chat_id = save(history, "Hi", "Hello")
    history.save(talk("another"))
    before = history.store._db.total_changes
    conversation = history.open(history.store.chat(chat_id))
    history.save(conversation)
    assert isinstance(history.current, Autosave)
    assert history.store._db.total_changes == before
