"""Saved chats of several windows: who owns one, and what becomes of it when its window is killed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from chats import finish, grow, plain_values, save, talk
from scripted import Line, scripted

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import History, Store
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.turn import Turn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


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
                lambda: other.open(chat), lambda: other.rename(chat.id, "x"),
                lambda: other.delete(chat.id), lambda: other.store.forget(chat.id),
            ):  # fmt: skip
                with pytest.raises(HistoryError, match="open in another window"):
                    attempt()
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


def test_a_damaged_reply_harms_no_other_chat(path: Path) -> None:
    history, conversation = History(Store(path)), talk("Hi")
    grow(conversation.begin_reply(), "Half")
    history.save(talk("another"))
    history.save(conversation)
    history.store.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE messages SET facts = '{' WHERE state = 'streaming'")
    db.commit()
    db.close()
    with Store(path) as store:
        damaged, whole = store.chats()
        assert store.load(whole.id).conversation.path()[0].content == "another"
        with pytest.raises(HistoryError, match=f"chat {damaged.short_id} is damaged"):
            store.load(damaged.id)


def test_a_left_chat_stays_locked_until_it_is_saved(path: Path) -> None:
    with History(Store(path)) as history:
        left = talk("Hi")
        history.save(left)
        number = history.store.chats()[0].number
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        left.add_user("more")
        history.save(talk("another"), patience_s=0.0)
        assert history.store.locks.holds(number)
        other.execute("ROLLBACK")
        other.close()
        history.save(Conversation())
        assert not history.store.locks.holds(number)
        assert history.store.load(history.store.chats()[1].id).conversation.path()[-1].content == "more"


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
