"""Ways out."""

from __future__ import annotations

from scene import (
    WAITS,
    ask_without_waiting,
    prompt_text,
    replies,
    scene,
    screen_text,
    type_text,
    wait_until,
    window,
)


async def test_ctrl_c_stops_then_asks_then_quits() -> None:
    app = window(scene(WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: app.session.ready)
        assert replies(app)[0].message.state == "stopped"
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: "again to quit" in screen_text(app))
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: not app.is_running)


async def test_ctrl_d_quits_only_from_an_empty_prompt() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await type_text(pilot, "ab")
        await pilot.press("left", "ctrl+d")
        assert prompt_text(app) == "a"
        await pilot.press("backspace", "ctrl+d")
        await wait_until(pilot, lambda: not app.is_running)
