"""Slash commands and the palette, both made of the action list."""

from __future__ import annotations

import pytest
from scene import (
    ask,
    conversation,
    idle,
    press_text,
    prompt_text,
    scene,
    screen_text,
    send,
    texts,
    wait_until,
    window,
)
from textual import events

from qwen3_chat.app.tui.actions import ACTIONS
from qwen3_chat.app.tui.screens.help import HelpScreen
from qwen3_chat.app.tui.screens.sessions import SessionsScreen
from qwen3_chat.app.tui.screens.settings import SettingsScreen
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel
from qwen3_chat.app.tui.widgets.entry import Entry


async def test_a_command_is_completed_and_run() -> None:
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await press_text(pilot, "/eng")
        await wait_until(pilot, lambda: "❯ /engine" in screen_text(app))
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.chat.query_one(EnginePanel).is_open)
        assert prompt_text(app) == ""


async def test_a_command_with_an_argument_waits_for_it() -> None:
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await press_text(pilot, "/sys")
        await pilot.press("enter")
        assert prompt_text(app) == "/system "
        await press_text(pilot, "Be brief.")
        await pilot.press("enter")
        await wait_until(pilot, lambda: conversation(app).system == "Be brief.")


async def test_a_burst_completes_as_slow_typing_does() -> None:
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        for key in ("/", "e", "n", "g", "enter"):
            app.post_message(events.Key("slash" if key == "/" else key, key if len(key) == 1 else "\r"))
        await wait_until(pilot, lambda: app.chat.query_one(EnginePanel).is_open)


@pytest.mark.parametrize(
    ("typed", "said"),
    [("/compct", "there is no command /compct (/compact?)"), ("/new chat", "/new takes nothing after it")],
)
async def test_a_wrong_command_is_given_back(typed: str, said: str) -> None:
    made = scene("Never.")
    app = window(made)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, typed)
        await wait_until(pilot, lambda: said in screen_text(app))
        assert prompt_text(app) == typed
        assert made.engine.requests == []


@pytest.mark.parametrize(
    ("typed", "sent"), [("//new is a command", "/new is a command"), ("/etc/hosts is what?", "/etc/hosts is what?")]
)
async def test_a_slash_can_begin_a_message(typed: str, sent: str) -> None:
    app = window(scene("So it is."))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, typed)
        assert texts(app)[0] == sent


async def test_commands_about_messages_mean_the_newest_one() -> None:
    app = window(scene("It is **one**.", "Two."))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, "Pick")
        await send(pilot, "/copy")
        await wait_until(pilot, lambda: app.clipboard == "It is **one**.")
        await send(pilot, "/regenerate")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Pick", "Two."])


async def test_the_palette_does_what_the_keys_do() -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(100, 60)) as pilot:
        await ask(pilot, "Pick")
        commands = {command.title: command for command in app.get_system_commands(app.chat)}
        assert set(commands) == {action.title for action in ACTIONS if action.palette}
        await pilot.press("ctrl+p")
        await press_text(pilot, "Answer anew")
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Pick", "Two."])


async def test_help_lists_every_action_with_its_keys_and_id() -> None:
    app = window(scene())
    async with app.run_test(size=(120, 110)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, "/help")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_until(pilot, lambda: all(action.id in screen_text(app) for action in ACTIONS))
        assert all(f"/{action.slash}" in screen_text(app) for action in ACTIONS if action.slash)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)


async def test_every_action_is_done_by_someone() -> None:
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        owners = (Entry, app.chat, app, *app.chat._parts, SessionsScreen, SettingsScreen)
        for action in ACTIONS:
            assert [owner for owner in owners if callable(getattr(owner, f"action_{action.method}", None))], action.id
        slashes = [action.slash for action in ACTIONS if action.slash]
        assert len(slashes) == len(set(slashes))
