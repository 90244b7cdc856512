"""Saved chats in the window: kept while one talks, found again, and what cannot be saved is said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chats import talk
from scene import conversation, press_text, replies, scene, screen_text, type_text, wait_until
from scripted import Line, Scripted, ScriptedToken
from textual.widgets import Input, OptionList

from qwen3_chat.app.chat.history import History, Store, open_chat
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.loader import Loader
from qwen3_chat.app.tui.screens.sessions import SessionsScreen
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.note import Note


def window(made: Scripted, **options: Any) -> ChatApp:
    """The window on that model, with its chats saved."""
    wanted = ChatOptions(model=made.model.path, **options)
    return ChatApp(wanted, Session(wanted, Loader(lambda progress: made.model), open_chat(wanted)))


async def ask(pilot: Any, text: str) -> None:
    app, count = pilot.app, len(replies(pilot.app))
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: len(replies(app)) == count + 1 and app.session.ready)


def saved() -> list[tuple[str, int]]:
    """Title and number of messages of every chat, as another program sees them now."""
    with Store() as store:
        return [(chat.title, chat.messages) for chat in store.chats()]


async def sessions(pilot: Any) -> SessionsScreen:
    await pilot.press("ctrl+s")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, SessionsScreen) and pilot.app.screen._hits is not None)
    await pilot.pause()
    return pilot.app.screen  # type: ignore[no-any-return]


def listed(screen: SessionsScreen) -> list[str]:
    assert screen.query_one(OptionList).option_count == len(screen._hits)
    return [hit.chat.title for hit in screen._hits]


@pytest.fixture
def three() -> None:
    """Three saved chats, the last one first in the list."""
    with History(Store()) as history:
        for talked in (talk("Why pairs?", "A rotation."), talk("What is a monad?", "A burrito."), talk("Hi", "Hello")):
            history.save(talked)


async def test_a_chat_is_saved_as_it_goes_on() -> None:
    app = window(scene("One.", Line("Half an answer", "wait")))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "first")
        await wait_until(pilot, lambda: saved() == [("first", 2)])
        await type_text(pilot, "second")
        await pilot.press("enter")
        await wait_until(pilot, lambda: saved() == [("first", 4)])
        with Store() as store:
            chat = store.chats()[0].id
            await wait_until(pilot, lambda: store.load(chat).conversation.path()[-1].content == "Half an answer")
            assert store.load(chat).conversation.path()[-1].state == "streaming"
        await pilot.press("ctrl+n")
        await ask_is_empty(pilot)
        await wait_until(pilot, lambda: states() == ["stopped"])
    app.session.close()
    assert saved() == [("first", 4)]


async def ask_is_empty(pilot: Any) -> None:
    await wait_until(pilot, lambda: not replies(pilot.app))


def states() -> list[str]:
    with Store() as store:
        return [store.load(chat.id).conversation.path()[-1].state for chat in store.chats()]


async def test_the_question_is_saved_before_the_reply_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    from qwen3_chat.app.chat.turn import Turn

    seen: list[list[tuple[str, int]]] = []
    start = Turn.start.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Turn, "start", classmethod(lambda cls, *a, **k: (seen.append(saved()), start(cls, *a, **k))[1]))
    app = window(scene("One."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "first")
    app.session.close()
    assert seen == [[("first", 1)]]


async def test_the_window_opens_on_the_chat_of_c(three: None) -> None:
    made = scene("Again.")
    app = window(made, continue_last=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: "Hello" in screen_text(app) and app.session.ready)
        await ask(pilot, "And?")
        assert "Hello" in made.tokenizer.decode(made.engine.requests[0][0])
        await wait_until(pilot, lambda: saved()[0] == ("Hi", 4))
    app.session.close()


# A window in a process of its own, whose reply goes on until somebody ends it.
WINDOW = """
import sys
sys.path[:0] = {paths!r}
from scene import scene
from scripted import Line
from test_sessions import type_text, wait_until, window

app = window(scene(Line("Once upon a time", "wait")))

async def drive(pilot):
    await wait_until(pilot, lambda: app.session.ready)
    await type_text(pilot, "Tell me")
    await pilot.press("enter")
    await wait_until(pilot, lambda: False)

app.run(headless=True, auto_pilot=drive)
"""


def test_a_window_that_is_killed_leaves_an_interrupted_reply() -> None:
    here = Path(__file__).parent
    program = WINDOW.format(paths=[str(here), str(here.parent)])
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process, Store() as store:
        while process.poll() is None and not _last_words(store):
            os.sched_yield()
        assert _last_words(store) == ("streaming", "Once upon a time")
        assert store.locks.taken_elsewhere(store.chats()[0].number)
        with Store() as other:  # opening it marks nothing that is alive
            assert _last_words(other) == ("streaming", "Once upon a time")
        process.kill()
    with Store() as store:
        assert _last_words(store) == ("interrupted", "Once upon a time")


def _last_words(store: Store) -> tuple[str, str] | None:
    """State and text of the newest reply, once it has text."""
    for chat in store.chats():
        last = store.load(chat.id).conversation.path()[-1]
        if last.role == "assistant" and last.content:
            return last.state, last.content
    return None


async def test_an_interrupted_reply_says_so() -> None:
    with History(Store()) as history:
        talked = talk("Tell me")
        talked.begin_reply().content = "Once upon"
        history.save(talked)
        history.store.close()  # as a kill does
    app = window(scene(), continue_last=True)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, lambda: "■ interrupted" in screen_text(app))
        assert "Once upon" in screen_text(app)
        assert "continue goes on from here" in screen_text(app)
    app.session.close()


async def test_a_saved_chat_is_searched_and_opened(three: None) -> None:
    made = scene("It is old.", "And more.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "this one stays")
        screen = await sessions(pilot)
        assert listed(screen) == ["this one stays", "Hi", "What is a monad?", "Why pairs?"]
        assert "● this one stays" in screen_text(app)
        await press_text(pilot, "rotat")
        await wait_until(pilot, lambda: listed(screen) == ["Why pairs?"])
        await wait_until(pilot, lambda: "A rotation." in screen_text(app))
        screen.query_one(Input).value = "a"
        await wait_until(pilot, lambda: len(listed(screen)) > 1)
        await pilot.press(*["down"] * listed(screen).index("Why pairs?"))
        await pilot.press("enter")
        await wait_until(pilot, lambda: [reply.message.content for reply in replies(app)] == ["A rotation."])
        await wait_until(pilot, lambda: "Why pairs?" in screen_text(app).split("\n")[0])
        await ask(pilot, "go on")
        assert "A rotation." in made.tokenizer.decode(made.engine.requests[-1][0])
        await wait_until(pilot, lambda: saved()[0] == ("Why pairs?", 4))
    app.session.close()


async def test_a_search_is_not_outrun_by_enter(three: None) -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await sessions(pilot)
        screen.query_one(Input).value = "monad"
        await pilot.press("enter")
        await wait_until(
            pilot, lambda: conversation(app).path() and conversation(app).path()[1].content == "A burrito."
        )
    app.session.close()


async def test_the_arrows_choose_and_escape_goes_back(three: None) -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await sessions(pilot)
        await pilot.press("down", "down", "down", "up")
        assert screen._chosen is not None
        assert screen._chosen.title == "What is a monad?"
        await press_text(pilot, "zebra")
        await wait_until(pilot, lambda: "nothing was found" in screen_text(app))
        await pilot.press("enter", "escape")
        await wait_until(pilot, lambda: len(listed(screen)) == 3)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        assert conversation(app).path() == []
    app.session.close()


async def test_of_many_chats_the_first_are_listed_and_all_are_found() -> None:
    with History(Store()) as history:
        for number in range(105):
            history.save(talk(f"chat number{number}"))
    app = window(scene())
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await sessions(pilot)
        assert (listed(screen)[0], len(listed(screen))) == ("chat number104", 100)
        await wait_until(pilot, lambda: "the first 100 of 105" in screen_text(app))
        await press_text(pilot, "number3 ")
        await wait_until(pilot, lambda: "chat number3" in listed(screen))
    app.session.close()


async def test_a_chat_is_renamed(three: None) -> None:
    app = window(scene(), continue_last=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await sessions(pilot)
        await pilot.press("ctrl+r")
        line = screen.query_one(Input)
        assert line.value == "Hi"
        line.value = "[b]Greetings[/]"
        await pilot.press("enter")
        await wait_until(pilot, lambda: "● [b]Greetings[/]" in screen_text(app))
        await pilot.press("ctrl+r", "escape")
        assert line.value == ""
        await pilot.press("escape")
        await wait_until(pilot, lambda: "[b]Greetings[/]" in screen_text(app).split("\n")[0])
        assert saved()[0] == ("[b]Greetings[/]", 2)
    app.session.close()


async def test_a_chat_is_deleted_and_taken_back(three: None) -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await sessions(pilot)
        await pilot.press("ctrl+z")
        await wait_until(pilot, lambda: "nothing was deleted" in screen_text(app))
        await pilot.press("down", "ctrl+d")
        await wait_until(pilot, lambda: listed(screen) == ["Hi", "Why pairs?"])
        assert screen._chosen is not None
        assert screen._chosen.title == "Why pairs?"
        assert "^Z takes it back" in screen_text(app)
        await pilot.press("ctrl+z")
        await wait_until(pilot, lambda: listed(screen) == ["Hi", "What is a monad?", "Why pairs?"])
        assert screen._chosen.title == "What is a monad?"
        await pilot.press("ctrl+d", "ctrl+d", "ctrl+d")
        await wait_until(pilot, lambda: listed(screen) == [])
        await pilot.press("ctrl+z")
        await wait_until(pilot, lambda: listed(screen) == ["Hi"])
    app.session.close()
    assert saved() == [("Hi", 2)]


async def test_the_open_chat_can_be_deleted_too(three: None) -> None:
    app = window(scene(), continue_last=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: replies(app))
        screen = await sessions(pilot)
        await pilot.press("ctrl+d")
        await wait_until(pilot, lambda: "Hi" not in listed(screen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not replies(app) and conversation(app).path() == [])
    app.session.close()
    assert [title for title, _ in saved()] == ["What is a monad?", "Why pairs?"]


@pytest.mark.parametrize("ending", ["md", "json", "html"])
async def test_a_chat_is_exported(three: None, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await sessions(pilot)
        await pilot.press("ctrl+e")
        line = screen.query_one(Input)
        file = Path(line.value).with_suffix(f".{ending}")
        assert file.parent == tmp_path
        for name, told in ((file.with_suffix(".doc"), "ends in .md"), (file, "written to"), (file, "✗")):
            line.value = str(name)
            await pilot.press("enter")
            await wait_until(pilot, lambda told=told: told in screen_text(app))
            await pilot.press("ctrl+e")
        assert "Hello" in file.read_text()
    app.session.close()


async def test_a_chat_of_another_window_is_not_opened(three: None) -> None:
    with History(Store()) as other:
        other.open(other.store.chats()[0])
        app = window(scene())
        async with app.run_test(size=(80, 24)) as pilot:
            await sessions(pilot)
            await wait_until(pilot, lambda: "○ Hi  open in another window" in screen_text(app))
            await pilot.press("ctrl+d")
            await wait_until(pilot, lambda: "close it there first" in screen_text(app))
            await pilot.press("enter")
            await wait_until(pilot, lambda: [note.what for note in app.chat.query(Note)] == ["The chat was not opened"])
        app.session.close()


async def test_a_window_that_cannot_save_says_so(data_home: Path) -> None:
    (data_home / "qwen3-chat").mkdir()
    (data_home / "qwen3-chat" / "chats.db").write_bytes(b"no database" * 100)
    app = window(scene("One."))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: [note.what for note in app.chat.query(Note)] == ["This chat is not saved"])
        await ask(pilot, "first")
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "chats cannot be saved" in screen_text(app))
        assert [note.what for note in app.chat.query(Note)] == ["This chat is not saved"]
    app.session.close()


async def test_a_save_that_fails_is_said_once_and_made_up_for(data_home: Path) -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "first")
        await wait_until(pilot, lambda: saved() == [("first", 2)])
        other = sqlite3.connect(data_home / "qwen3-chat" / "chats.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await ask(pilot, "second")
        await wait_until(pilot, lambda: [note.what for note in app.chat.query(Note)] == ["This chat is not saved"])
        other.execute("ROLLBACK")
        other.close()
        await wait_until(pilot, lambda: saved() == [("first", 4)])
        assert [note.what for note in app.chat.query(Note)] == ["This chat is not saved"]
    app.session.close()


async def test_no_save_keeps_nothing(data_home: Path) -> None:
    app = window(scene("One."), save=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "first")
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "keeps no chats" in screen_text(app))
    app.session.close()
    assert list(data_home.iterdir()) == []


async def test_the_model_finds_a_title_when_it_has_nothing_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene("Because a rotation needs two.", "Yes.")
    generate, asked = made.engine.generate, list[str]()

    def entitle(ids: Any, cache: Any = None, sampling: Any = None, *, background: bool = False) -> Any:
        prompt = made.tokenizer.decode(ids)
        if background and "Give this conversation a title" in prompt:
            asked.append(prompt)
            generation = generate(ids, cache, sampling, background=True)
            words = made.tokenizer.encode('"Rotary pairs."')
            generation._tokens = [ScriptedToken(token, place) for place, token in enumerate(words)]
            return generation
        generation = generate(ids, cache, sampling, background=background)
        generation.finish_reason = "length" if background else None  # reading ahead is done at once
        return generation

    monkeypatch.setattr(made.engine, "generate", entitle)
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Why does RoPE use pairs?")
        await wait_until(pilot, lambda: saved() == [("Rotary pairs", 2)])
        await wait_until(pilot, lambda: "Rotary pairs" in screen_text(app).split("\n")[0])
        await ask(pilot, "Really?")
        await wait_until(pilot, lambda: saved() == [("Rotary pairs", 4)])
        assert len(asked) == 1
        assert "Why does RoPE use pairs?" in asked[0]
    app.session.close()
