"""Chats that are saved while they go on, and what is done with them afterwards."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from chats import conversations, finish, plain_values, talk
from hypothesis import given, settings
from scripted import Line, scripted

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.errors import HistoryError, OptionError
from qwen3_chat.app.chat.history import Autosave, ChatSummary, History, Store, open_chat
from qwen3_chat.app.chat.history.keeping import INTERVAL_S
from qwen3_chat.app.chat.history.store import ChatLine
from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.chat.turn import Turn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    numbers = itertools.count(1000)
    with History(Store(path, now=lambda: float(next(numbers)))) as made:
        yield made


def save(history: History, *texts: str, system: str | None = None) -> str:
    """A saved chat's id."""
    history.save(talk(*texts, system=system))
    assert history.current is not None
    return history.current.chat_id


def grow(reply: Message, text: str, thinking: str = "") -> None:
    """As a turn does: text, ids and what the engine tells of them."""
    reply.content += text
    reply.thinking += thinking
    for character in text + thinking:
        token = SimpleNamespace(logprob=-0.25, ns=7, top=((ord(character), -0.25),))
        reply.trace.add(token, at=len(reply.token_ids))
        reply.token_ids.append(ord(character))


def pieces(path: Path) -> int:
    db = sqlite3.connect(path)
    ((count,),) = db.execute("SELECT count(*) FROM pieces").fetchall()
    db.close()
    return int(count)


# Saving


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


# Who owns a chat


def test_a_reply_that_another_window_writes_is_left_alone(path: Path) -> None:
    conversation = talk("Hi")
    reply = conversation.begin_reply()
    grow(reply, "Half")
    with History(Store(path)) as history:
        history.save(conversation)
        with History(Store(path)) as other:
            (chat,) = other.store.chats()
            assert other.store.locks.taken_elsewhere(chat.number)
            seen = other.store.load(chat.id).conversation.path()[-1]
            assert (seen.state, seen.content) == ("streaming", "Half")
            for attempt in (
                lambda: other.open(chat), lambda: other.delete(chat.id), lambda: other.store.forget(chat.id)
            ):  # fmt: skip
                with pytest.raises(HistoryError, match="open in another window"):
                    attempt()
            assert other.store.latest() is None
        finish(reply, "Half and whole")
        history.save(conversation)
    with History(Store(path)) as other:
        assert other.open(chat).path()[-1].content == "Half and whole"


def test_a_chat_is_free_once_its_window_has_left_it(path: Path) -> None:
    with History(Store(path)) as history, History(Store(path)) as other:
        save(history, "Hi", "Hello")
        (chat,) = history.store.chats()
        save(history, "another chat")
        assert other.open(chat).path()[-1].content == "Hello"


def test_a_new_process_with_the_old_one_s_id_means_nothing(path: Path) -> None:
    """The lock goes with the process: even this very process, opening again, finds it gone."""
    history = History(Store(path))
    conversation = talk("Hi")
    grow(conversation.begin_reply(), "Half")
    history.save(conversation)
    history.store.close()  # as a kill does: nothing else is written
    with Store(path) as store:
        reply = store.load(store.chats()[0].id).conversation.path()[-1]
        assert (reply.state, reply.finish_reason) == ("interrupted", "interrupted")
        assert [hit.content for hit in store.search("half")] == ["Half"]


def test_an_interrupted_reply_goes_on_from_its_tokens(path: Path) -> None:
    scene = scripted(Line("Once upon a", end="wait"), " time.")
    history, conversation = History(Store(path)), talk("Tell me")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(seed=3), False)
    while turn.message.content != "Once upon a":
        turn.poll()
    history.save(conversation)
    history.store.close()
    with History(Store(path)) as again:
        conversation = again.open(again.store.chats()[0])
        reply = conversation.continue_()
        turn = Turn.start(scene.model, conversation, None, SamplingOptions(), False, message=reply)
        for _ in turn:
            again.save(conversation)
        assert (reply.content, reply.state) == ("Once upon a time.", "complete")
        assert scene.engine.requests[1][0][-11:] == scene.tokenizer.encode("Once upon a")
        assert len(reply.trace) == len(reply.token_ids)
        saved = again.store.load(again.store.chats()[0].id).conversation
        assert plain_values(saved) == plain_values(conversation)


def test_another_model_goes_on_from_the_text(path: Path) -> None:
    scene = scripted(" there.")
    conversation = talk("Hi", "Hello")
    reply = conversation.path()[-1]
    reply.model, reply.thinking, reply.thought = "another", "Hm.", True
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(), True, message=conversation.continue_())
    for _ in turn:
        pass
    assert (reply.content, reply.thinking, reply.model) == ("Hello there.", "Hm.", "scripted")
    assert scene.engine.requests[0][0][-5:] == scene.tokenizer.encode("Hello")


# What is done with saved chats


def test_the_last_used_chat_comes_first(history: History) -> None:
    first, second = save(history, "first"), save(history, "second")
    assert [chat.id for chat in history.store.chats()] == [second, first]
    latest = history.store.latest()
    assert latest is not None
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
    with pytest.raises(OptionError, match="-c: there is no saved chat"):  # the only one is open
        open_chat(options(continue_last=True))
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


def test_an_autosave_knows_what_was_loaded(history: History) -> None:
    chat_id = save(history, "Hi", "Hello")
    history.save(talk("another"))
    before = history.store._db.total_changes
    conversation = history.open(history.store.chat(chat_id))
    history.save(conversation)
    assert isinstance(history.current, Autosave)
    assert history.store._db.total_changes == before
