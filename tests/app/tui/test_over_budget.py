"""What will be sent is counted before it is, and what does not fit is a choice."""

from __future__ import annotations

from typing import Any

from scene import (
    ask,
    conversation,
    notes,
    prompt_text,
    replies,
    scene,
    screen_text,
    type_text,
    wait_until,
    window,
)

from qwen3_chat.app.tui.screens.over_budget import OverBudget


async def test_the_budget_is_exact_and_beside_the_prompt() -> None:
    made = scene("ok", context=400)
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: "tok left" in screen_text(app))
        await type_text(pilot, "hello")
        await wait_until(pilot, lambda: "5 tok · fits" in screen_text(app))
        budget = app.session.measure("hello")
        assert budget is not None
        assert f"5 tok · fits, {budget.left} tok left" in screen_text(app)
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.session.ready and replies(app))
        assert len(made.engine.requests[0][0]) == budget.prompt_tokens


async def fill(pilot: Any) -> None:
    await ask(pilot, "a" * 100)
    await ask(pilot, "b" * 100)
    await type_text(pilot, "c" * 90)
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, OverBudget))


async def test_what_does_not_fit_is_a_choice_drop() -> None:
    made = scene("One.", "Two.", "Three.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await wait_until(pilot, lambda: "does not fit" in screen_text(app))
        assert len(made.engine.requests) == 2
        await pilot.press("d")
        await wait_until(pilot, lambda: len(replies(app)) == 3 and app.session.ready)
        prompt = made.tokenizer.decode(made.engine.requests[2][0])
        assert "aaa" not in prompt
        assert "bbb" in prompt
        assert "ccc" in prompt
        await wait_until(pilot, lambda: "left out of what is sent" in screen_text(app))
        assert notes(app)[0].what == "1 of the oldest turns left out of what is sent"


async def test_what_does_not_fit_is_a_choice_edit() -> None:
    made = scene("One.", "Two.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        assert prompt_text(app) == "c" * 90
        assert len(made.engine.requests) == 2
        assert not any(message.dropped for message in conversation(app).path())
        await wait_until(pilot, lambda: "too many" in screen_text(app))


async def test_what_does_not_fit_is_a_choice_send() -> None:
    made = scene("One.", "Two.", "Three.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await pilot.press("s")
        await wait_until(pilot, lambda: len(replies(app)) == 3 and app.session.ready)
        assert "aaa" in made.tokenizer.decode(made.engine.requests[2][0])
