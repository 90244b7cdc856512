"""How tokens are drawn, changed while they are."""

from __future__ import annotations

from typing import Any

import pytest
from scene import (
    WAITS,
    ask,
    ask_without_waiting,
    idle,
    press_text,
    scene,
    screen_text,
    wait_until,
    window,
)
from textual.widgets import Input

from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.tui.screens.sampling import SamplingScreen


def field(app: Any, name: str) -> Input:
    found: Input = app.screen.query_one(f"#sampling-{name}", Input)
    return found


async def opened(pilot: Any) -> None:
    await pilot.press("f2")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, SamplingScreen))


async def test_a_change_reaches_the_reply_that_runs_and_the_next_one() -> None:
    made = scene(WAITS, "Next.")
    app = window(made)
    async with app.run_test(size=(100, 30)) as pilot:
        await ask_without_waiting(pilot, "Go")
        seed = made.engine.requests[0][1].seed
        await opened(pilot)
        assert field(app, "temperature").has_focus
        await press_text(pilot, "0.25")
        await wait_until(pilot, lambda: made.engine.generations[0].updates)
        assert made.engine.generations[0].updates[-1].temperature == 0.25
        assert made.engine.generations[0].updates[-1].seed == seed
        await pilot.press("down", "down", "5")
        await wait_until(pilot, lambda: made.engine.generations[0].updates[-1].top_k == 5)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        await pilot.press("escape")
        await wait_until(pilot, lambda: idle(app))
        await ask(pilot, "More")
        assert (made.engine.requests[1][1].temperature, made.engine.requests[1][1].top_k) == (0.25, 5)
        assert made.engine.requests[1][1].seed != seed


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("temperature", "-1", "temperature: expected a number from 0 to 10"),
        ("top_p", "0", "top p: expected a number above 0"),
        ("top_k", "x", "top k: expected a whole number"),
        ("min_p", "2", "min p: expected a number from 0 to 1"),
        ("presence_penalty", "3", "presence penalty: expected a number"),
        ("repetition_penalty", "0", "repetition penalty: expected a number"),
        ("seed", "1.5", "seed: expected a whole number"),
        ("max_tokens", "0", "longest reply: expected a whole number"),
        ("thinking_budget", "-1", "thinking budget: expected a whole number"),
    ],
)
async def test_a_wrong_value_is_said_and_changes_nothing(name: str, typed: str, said: str) -> None:
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await opened(pilot)
        field(app, name).value = typed
        await wait_until(pilot, lambda: said in screen_text(app))
        assert app.session.sampling == SamplingOptions()
        field(app, name).value = "1"
        await wait_until(pilot, lambda: getattr(app.session.sampling, name) == 1)
        await wait_until(pilot, lambda: said not in screen_text(app))


async def test_an_empty_field_is_the_recommendation() -> None:
    made = scene()
    app = window(made, ChatOptions(model=made.model.path, sampling=SamplingOptions(temperature=1.5, seed=7)))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await opened(pilot)
        assert (field(app, "temperature").value, field(app, "temperature").placeholder) == ("1.5", "0.6")
        assert field(app, "top_p").placeholder == "0.95"
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: app.session.sampling == SamplingOptions())
        assert (field(app, "temperature").value, field(app, "seed").value) == ("", "")


async def test_a_model_that_never_thinks_has_no_thinking_budget() -> None:
    app = window(scene(mode="never"))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await opened(pilot)
        assert not app.screen.query("#sampling-thinking_budget")
        await wait_until(pilot, lambda: "top k" in screen_text(app) and "thinking budget" not in screen_text(app))


async def test_the_reply_goes_on_behind_the_panel() -> None:
    made = scene("word " * 200, chunk=10)
    app = window(made)
    async with app.run_test(size=(100, 30)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await opened(pilot)
        await wait_until(pilot, lambda: idle(app))
        assert isinstance(app.screen, SamplingScreen)
