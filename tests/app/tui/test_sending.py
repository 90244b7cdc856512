"""From the prompt to the reply, and what can go wrong on the way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from scene import (
    WAITS,
    ask,
    ask_without_waiting,
    prompt_text,
    replies,
    scene,
    screen_text,
    type_text,
    wait_until,
    window,
)
from scripted import Line

from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.engine import DeviceError


async def test_a_message_is_sent_and_the_answer_streams_in() -> None:
    made = scene("<think>\nLet me see.\n</think>\n\nIt is **42**.\n\n- one\n- two", chunk=3)
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await wait_until(pilot, lambda: "◆ scripted  f32 · cpu:0" in screen_text(app))
        await type_text(pilot, "What is it?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and "It is" in replies(app)[0].message.content)
        assert replies(app)[0].message.state == "streaming"
        assert prompt_text(app) == ""
        await wait_until(pilot, lambda: app.session.ready)
        await wait_until(pilot, lambda: "first token 38 ms" in screen_text(app))
        shown = screen_text(app)
        assert "❯ What is it?" in shown
        assert "It is 42." in shown
        assert "▸ thought" in shown
        assert "Let me see." not in shown
        assert "• two" in shown


async def test_the_second_turn_recalls_the_first() -> None:
    made = scene("Nice to meet you, Ada.", "You are Ada.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "I am Ada")
        await ask(pilot, "Who am I?")
        prompt = made.tokenizer.decode(made.engine.requests[1][0])
        assert "I am Ada" in prompt
        assert "Nice to meet you, Ada." in prompt
        stats = replies(app)[1].message.stats
        assert stats is not None
        assert stats.reused_tokens > 0
        await wait_until(pilot, lambda: f"reused {stats.reused_tokens}" in screen_text(app))


async def test_what_the_next_prompt_begins_with_is_read_while_nobody_waits() -> None:
    made = scene("<think>\nHm.\n</think>\n\nNice to meet you, Ada.", "You are Ada.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "I am Ada")
        read_ahead = made.engine.background[-1]
        await ask(pilot, "Who am I?")
        prompt, stats = made.engine.requests[1][0], replies(app)[1].message.stats
        assert stats is not None
        assert prompt[: len(read_ahead)] == read_ahead
        assert made.tokenizer.decode(prompt[stats.reused_tokens :]) == "user\nWho am I?\nassistant\n"


async def test_a_message_waits_for_the_step_that_reads_ahead() -> None:
    made = scene("Hello.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        stopped: list[bool] = []
        reading: Any = SimpleNamespace(done=False, stop=lambda: stopped.append(True))
        app.session._idle = reading
        await type_text(pilot, "hi")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "next: hi" in screen_text(app))
        assert stopped
        assert made.engine.requests == []
        reading.done = True
        await wait_until(pilot, lambda: len(made.engine.requests) == 1)
        await wait_until(pilot, lambda: "Hello." in screen_text(app))


async def test_a_failed_reply_keeps_the_chat_going() -> None:
    app = window(scene(Line("Half an ans", "error"), "Fine."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: "✗ failed · device cpu:0 failed: scripted" in screen_text(app))
        await wait_until(pilot, lambda: "Half an ans" in screen_text(app))
        await ask(pilot, "Again")
        assert replies(app)[1].message.content == "Fine."


async def test_a_reply_that_fails_before_its_first_word_is_marked_once() -> None:
    app = window(scene(Line("", "error")))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: "✗ failed · device cpu:0 failed: scripted" in screen_text(app))
        assert screen_text(app).count("✗") == 1


@pytest.mark.parametrize(
    ("limit", "said"),
    [(5, "▲ cut short: the reply reached its limit of 5 tokens"), (None, "▲ cut short: the context of 60 tokens is")],
)
async def test_a_reply_that_was_cut_short_says_by_what(limit: int | None, said: str) -> None:
    made = scene("A long answer " * 9, context=60)
    options = ChatOptions(model=made.model.path, sampling=SamplingOptions(max_tokens=limit))
    app = window(made, options)
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: said in screen_text(app))
        assert replies(app)[0].message.state == "complete"
        assert "context is full" not in screen_text(app)


async def test_a_dead_engine_leaves_the_chat_readable() -> None:
    made = scene(Line("Half an ans", "error"))
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")

        def dead(*_: Any, **__: Any) -> Any:
            raise DeviceError("the engine is gone")

        made.model.engine.memory = made.model.engine.profile = dead  # type: ignore[method-assign]
        await pilot.press("f3")
        await wait_until(pilot, lambda: "KV –" in screen_text(app))
        assert "Half an ans" in screen_text(app)


async def test_escape_stops_and_keeps_the_partial_answer() -> None:
    made = scene(WAITS, "Again.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "Go")
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and replies(app)[0].message.content == "A partial answer")
        assert app.session.busy
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.session.ready)
        message = replies(app)[0].message
        assert (message.state, message.content) == ("stopped", "A partial answer")
        await wait_until(pilot, lambda: "■ stopped" in screen_text(app))
        assert "A partial answer" in screen_text(app)
        await ask(pilot, "More")
        assert "A partial answer" in made.tokenizer.decode(made.engine.requests[1][0])


async def test_a_new_chat_forgets() -> None:
    made = scene("One.", WAITS, "Three.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "remember this")
        await ask_without_waiting(pilot, "go on")
        await pilot.press("ctrl+n")
        await wait_until(pilot, lambda: not replies(app) and "tokens of context" in screen_text(app))
        await ask(pilot, "hello")
        assert "remember" not in made.tokenizer.decode(made.engine.requests[2][0])
        assert made.engine.generations[1].finish_reason == "cancelled"


async def test_markup_in_any_text_is_shown_as_it_is() -> None:
    nasty = "[/foo] [red]x[/red] [@click=app.quit]y[/]"
    app = window(scene(f"{nasty} \x1b[2J `[b]`", WAITS))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, nasty)
        await wait_until(pilot, lambda: screen_text(app).count(nasty) == 3)  # title, question, answer
        await wait_until(pilot, lambda: "␛[2J [b]" in screen_text(app))
        await ask_without_waiting(pilot, "more")
        await ask_without_waiting(pilot, nasty)
        await wait_until(pilot, lambda: f"next: {nasty}" in screen_text(app))
