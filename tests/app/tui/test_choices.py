"""Thinking, its budget, and the system prompt."""

from __future__ import annotations

import pytest
from scene import (
    ask,
    conversation,
    press_text,
    replies,
    scene,
    screen_text,
    send,
    texts,
    wait_until,
    window,
)

from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.thinking import CLOSING
from qwen3_chat.app.tui.screens.help import HelpScreen
from qwen3_chat.app.tui.screens.system_prompt import SystemPromptScreen
from qwen3_chat.app.tui.widgets.menu import Menu


async def test_thinking_is_chosen_for_the_next_reply() -> None:
    made = scene("One.", "Two.")
    app = window(made, ChatOptions(model=scene().model.path))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: "no thinking ·" in screen_text(app))
        await ask(pilot, "hi")
        assert replies(app)[0].message.thought is False
        await pilot.press("ctrl+t")
        await ask(pilot, "hi")
        assert replies(app)[1].message.thought is True


async def test_think_and_no_think_as_commands() -> None:
    made = scene("One.", "Two.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, "/no_think")
        await wait_until(pilot, lambda: "no thinking ·" in screen_text(app))
        assert replies(app) == []
        await ask(pilot, "/think why?")
        assert (texts(app)[0], replies(app)[0].message.thought) == ("why?", True)
        await ask(pilot, "/no_think why?")
        assert replies(app)[1].message.thought is False


async def test_the_switch_inside_a_message_is_heeded() -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "why? /no_think")
        assert (texts(app)[0], replies(app)[0].message.thought) == ("why? /no_think", False)
        await ask(pilot, "not /no_think but /think")
        assert replies(app)[1].message.thought is True


@pytest.mark.parametrize(
    ("mode", "hidden"), [("never", {"think", "no_think", "budget"}), ("always", {"think", "no_think"})]
)
async def test_what_a_checkpoint_cannot_do_is_hidden(mode: str, hidden: set[str]) -> None:
    app = window(scene("One.", mode=mode))
    async with app.run_test(size=(100, 60)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await press_text(pilot, "/")
        offer = app.chat.query_one(Menu).offer
        assert offer is not None
        assert not {item.text.strip(" /") for item in offer.items} & {"think", "no_think"}
        assert hidden == {"think", "no_think", "budget"} - {item.text.strip(" /") for item in offer.items}
        await pilot.press("escape", "backspace")
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: f"this model {mode} thinks" in screen_text(app))
        assert "turn.thinking" not in {command.callback.args[0] for command in app.get_system_commands(app.chat)}
        await pilot.press("f1")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_until(pilot, lambda: "turn.sampling" in screen_text(app) and "turn.thinking" not in screen_text(app))


async def test_a_thinking_budget_closes_the_thinking() -> None:
    thoughts = "so " * 60
    made = scene(f"<think>\n{thoughts}\n</think>\n\nDone.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, "/budget 40")
        await wait_until(pilot, lambda: "after 40 tokens of thinking" in screen_text(app))
        await ask(pilot, "Why?")
        assert made.tokenizer.decode(made.engine.generations[0].forced[0]) == CLOSING
        reply = replies(app)[0].message
        assert reply.content == "Done."
        assert reply.thinking.startswith("so so")
        assert reply.thinking.endswith("directly now.")
        assert len(reply.thinking) < len(thoughts) + len(CLOSING)
        await send(pilot, "/budget off")
        await wait_until(pilot, lambda: "thinking has no budget" in screen_text(app))
        await send(pilot, "/budget many")
        await wait_until(pilot, lambda: "expected a whole number" in screen_text(app))


async def test_the_system_prompt_is_written_in_an_overlay() -> None:
    made = scene("Yes.", "No.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, "/system")
        await wait_until(pilot, lambda: isinstance(app.screen, SystemPromptScreen))
        await press_text(pilot, "Be\nbrief.")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.screen is app.chat)
        await wait_until(pilot, lambda: "system: Be brief." in screen_text(app))
        await ask(pilot, "Well?")
        assert made.tokenizer.decode(made.engine.requests[0][0]).startswith("system\nBe\nbrief.")
        await send(pilot, "/system")
        await wait_until(pilot, lambda: isinstance(app.screen, SystemPromptScreen))
        await pilot.press("x", "escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        assert conversation(app).system == "Be\nbrief."
        await send(pilot, "/system Be long.")
        await ask(pilot, "And?")
        assert "Be long." in made.tokenizer.decode(made.engine.requests[1][0])


async def test_a_new_chat_has_the_system_prompt_of_the_command_line() -> None:
    made = scene("Yes.")
    app = window(made, ChatOptions(model=made.model.path, system="From the flag."))
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, lambda: "system: From the flag." in screen_text(app))
        await send(pilot, "/system Mine.")
        await pilot.press("ctrl+n")
        await wait_until(pilot, lambda: "system: From the flag." in screen_text(app))
        await send(pilot, "/system")
        await wait_until(pilot, lambda: isinstance(app.screen, SystemPromptScreen))
        await pilot.press("ctrl+u", "enter")
        await wait_until(pilot, lambda: conversation(app).system is None)
        await wait_until(pilot, lambda: "system:" not in screen_text(app))
